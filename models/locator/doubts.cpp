#include "models/locator/doubts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "data/luma.h"

namespace telltale {
namespace {

double square(double v) { return v * v; }

/// Sums of squared second differences, across and down, of one square of a picture.
struct Structure {
  double fine = 0, coarse = 0;  ///< between neighbours, and between pixels two apart
};
Structure structure_of(const Image& image, int left, int top, int side) {
  constexpr int kReach = 2;
  const int wide = side + 2 * kReach;
  std::vector<float> light(size_t(wide) * size_t(wide));
  for (int y = 0; y < wide; ++y)
    for (int x = 0; x < wide; ++x)
      light[size_t(y) * size_t(wide) + size_t(x)] = luma(image.at(left + x - kReach, top + y - kReach));
  Structure s;
  for (int y = kReach; y < kReach + side; ++y)
    for (int x = kReach; x < kReach + side; ++x) {
      const float* p = light.data() + y * wide + x;
      s.fine += square(2 * p[0] - p[-1] - p[1]) + square(2 * p[0] - p[-wide] - p[wide]);
      s.coarse += square(2 * p[0] - p[-2] - p[2]) + square(2 * p[0] - p[-2 * wide] - p[2 * wide]);
    }
  return s;
}

bool one_colour(const Image& image, int left, int top, int side) {
  const uint8_t* first = image.at(left, top);
  for (int y = top; y < top + side; ++y)
    for (int x = left; x < left + side; ++x)
      if (!std::equal(first, first + 3, image.at(x, y))) return false;
  return true;
}

double lit_share(const PictureMap& map) {
  const auto lit = std::count_if(map.logits.begin(), map.logits.end(), [](float logit) { return logit >= 0; });
  return double(lit) / double(map.logits.size());
}

}  // namespace

double finest_detail(const Image& image) {
  constexpr int kSide = 32, kEdge = 2;
  constexpr double kStructure = 8;  // of the coarse mean square: below, rounding to bytes and JPEG are what is measured
  std::vector<double> shares;
  for (int top = kEdge; top + kSide + kEdge <= image.height; top += kSide)
    for (int left = kEdge; left + kSide + kEdge <= image.width; left += kSide) {
      const Structure s = structure_of(image, left, top, kSide);
      if (s.coarse > kStructure * kSide * kSide) shares.push_back(s.fine / s.coarse);
    }
  if (shares.empty()) return 1;
  const auto at = shares.begin() + long(shares.size() * 19 / 20);
  std::nth_element(shares.begin(), at, shares.end());
  return *at;
}

double flat_share(const Image& image) {
  constexpr int kSide = 8;
  int64_t flat = 0, all = 0;
  for (int top = 0; top + kSide <= image.height; top += kSide)
    for (int left = 0; left + kSide <= image.width; left += kSide, ++all) flat += one_colour(image, left, top, kSide);
  return all > 0 ? double(flat) / double(all) : 0;
}

bool is_grey(const Image& image) {
  constexpr int kTolerance = 2;
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    const auto [low, high] = std::minmax({image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]});
    if (high - low > kTolerance) return false;
  }
  return true;
}

std::vector<std::string> doubts(const Image& image, int jpeg_quality, const PictureMap& map) {
  std::vector<std::string> reasons;
  if (std::min(image.width, image.height) < kSmallestSide)
    reasons.push_back(fmt::format("too small ({}x{}; at least {} pixels a side are needed)", image.width, image.height,
                                  kSmallestSide));
  if (jpeg_quality > 0 && jpeg_quality < kLowestQuality)
    reasons.push_back(
        fmt::format("too compressed (JPEG quality about {}; at least {} is needed)", jpeg_quality, kLowestQuality));
  if (const double flat = flat_share(image); flat > kFlatShare)
    reasons.push_back(
        fmt::format("no photograph, or one that was clipped ({:.0f} % of it is flat colour)", 100 * flat));
  if (finest_detail(image) < kLeastDetail)
    reasons.emplace_back("enlarged or blurred (nothing in it has the finest detail that a photograph has)");
  if (const double lit = lit_share(map); lit > kLitShare)
    reasons.push_back(fmt::format(
        "lit nearly everywhere ({:.0f} % of the map): processed or generated as a whole, or of an unknown kind",
        100 * lit));
  return reasons;
}

std::vector<std::string> caveats(const Image& image) {
  if (!is_grey(image)) return {};
  return {"a grey picture: it has no traces in colour"};
}

}  // namespace telltale
