#include "data/jpeg_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "data/luma.h"

namespace telltale {
namespace {

constexpr size_t kBlock = 8;
constexpr int kMostAcross = 10, kLeastPlaces = 16;
template <class T>
using Eight = std::array<T, kBlock>;

/// The orthonormal transform: cosines[u][x].
Eight<Eight<float>> make_cosines() {
  Eight<Eight<float>> cosines;
  for (size_t u = 0; u < kBlock; ++u)
    for (size_t x = 0; x < kBlock; ++x)
      cosines[u][x] = float((u ? 0.5 : std::sqrt(0.125)) *
                            std::cos(double((2 * x + 1) * u) * std::numbers::pi / (2 * double(kBlock))));
  return cosines;
}

double median(std::array<double, 64> values) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

GridPlace brightness(const Image& image, int left, int top) {
  GridPlace place{};
  for (size_t y = 0; y < place.size(); ++y)
    for (size_t x = 0; x < place.size(); ++x) place[y][x] = luma(image.at(left + int(x), top + int(y)));
  return place;
}

}  // namespace

void GridVotes::add(const GridPlace& light) {
  static const Eight<Eight<float>> cosines = make_cosines();
  ++places_;
  // Of both directions alone: one of them is 0 wherever colour is even along an axis.
  for (size_t down = 0; down < kBlock; ++down)
    for (size_t v = 1; v <= frequencies_; ++v) {
      std::array<float, 16> column{};
      for (size_t y = 0; y < kBlock; ++y)
        for (size_t x = 0; x < column.size(); ++x) column[x] += cosines[v][y] * light[down + y][x];
      for (size_t u = 1; u <= frequencies_; ++u) {
        Eight<float> c{};  // of the grids that begin 0 to 7 pixels to the right
        for (size_t x = 0; x < kBlock; ++x)
          for (size_t right = 0; right < kBlock; ++right) c[right] += cosines[u][x] * column[right + x];
        for (size_t right = 0; right < kBlock; ++right) small_[down][right] += std::abs(c[right]) < 0.5f;
      }
    }
}

std::array<double, 64> GridVotes::odds() const {
  std::array<double, kBlock * kBlock> odds{};
  for (size_t grid = 0; grid < odds.size(); ++grid) {
    const double share = small_[grid / kBlock][grid % kBlock] / samples();
    constexpr double kLeast = 1e-3;  // so that a picture without any, or of nothing else, has odds
    odds[grid] = std::log((share + kLeast) / (1 - share + kLeast));
  }
  return odds;
}

double GridVotes::evidence() const {
  if (places_ < kLeastPlaces) return 0;
  const std::array<double, 64> on = odds();
  return *std::max_element(on.begin(), on.end()) - median(on);
}

double GridVotes::standard_error() const {
  if (places_ < kLeastPlaces) return std::numeric_limits<double>::infinity();
  const double share = 1 / (1 + std::exp(-median(odds())));
  return 1 / std::sqrt(samples() * share * (1 - share));
}

double jpeg_grid_evidence(const Image& image) {
  const int block = int(kBlock);
  const int whole_across = (image.width - block + 1) / block, whole_down = (image.height - block + 1) / block;
  const int across = std::min(kMostAcross, whole_across), down = std::min(kMostAcross, whole_down);
  GridVotes votes;
  for (int i = 0; i < down; ++i)
    for (int j = 0; j < across; ++j)
      votes.add(brightness(image, block * (j * whole_across / across), block * (i * whole_down / down)));
  return votes.evidence();
}

}  // namespace telltale
