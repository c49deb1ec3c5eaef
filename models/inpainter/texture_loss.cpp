#include "models/inpainter/texture_loss.h"

#include <algorithm>
#include <cmath>

#include "engine/layers/all.h"
#include "kernels/device/philox.h"

namespace telltale {
namespace {

constexpr int kSize = 5, kInner = 3, kColours = 3;
constexpr int kWindow = 8, kStride = 4;
/// Pairs of one filter in two places kLag apart, from the second scale on, where that is kLattice of the image's
/// pixels.
constexpr int kPairs = 4, kPairScale = 1, kLag = TextureLoss::kLattice >> kPairScale, kPairSize = kSize + kLag;
constexpr double kPairShare =
    2;  ///< beside a scale of single filters: the eye finds a lattice before it finds wrong grain
constexpr uint64_t kSeed = 1, kFilterStream = 0x5445'5854'0000'0000u;
constexpr double kLaplacian[3][3] = {{0, -1, 0}, {-1, 4, -1}, {0, -1, 0}};

/// The filters and their negatives, {2·kFilters,5,5,3}: each of unit norm over images from 0 to 1.
std::vector<double> filters(double span) {
  constexpr size_t kNumbers = size_t(kSize) * kSize * kColours;
  std::vector<double> all(2 * size_t(TextureLoss::kFilters) * kNumbers, 0.0);
  for (size_t f = 0; f < size_t(TextureLoss::kFilters); ++f) {
    Random random(kSeed, kFilterStream + f);
    double* const filter = all.data() + 2 * f * kNumbers;
    double inner[kInner][kInner], colour[kColours];
    for (auto& row : inner)
      for (double& v : row) v = random.normal();
    // Photographs' colours move together: mostly grey, with some of each difference.
    for (double& c : colour) c = 1 + 0.7 * random.normal();
    double square = 0;
    for (int y = 0; y < kSize; ++y) {
      for (int x = 0; x < kSize; ++x) {
        double sum = 0;
        for (int i = 0; i < kInner; ++i) {
          for (int j = 0; j < kInner; ++j) {
            const int u = y - i, v = x - j;
            if (u >= 0 && u < 3 && v >= 0 && v < 3) sum += inner[i][j] * kLaplacian[u][v];
          }
        }
        for (int c = 0; c < kColours; ++c) {
          const double value = sum * colour[c];
          filter[(y * kSize + x) * kColours + c] = value;
          square += value * value;
        }
      }
    }
    for (size_t i = 0; i < kNumbers; ++i) {
      filter[i] /= std::sqrt(square) * span;
      filter[kNumbers + i] = -filter[i];
    }
  }
  return all;
}

/// The first kPairs of them beside themselves kLag to the right, and beside themselves kLag below: sum and difference,
/// and their negatives, {8·kPairs,kPairSize,kPairSize,3}, of unit norm where the two are unlike.
std::vector<double> pair_filters(double span) {
  constexpr size_t kFrom = size_t(kSize) * kSize * kColours, kTo = size_t(kPairSize) * kPairSize * kColours;
  const std::vector<double> single = filters(span);  // and their negatives, in turn
  std::vector<double> all(size_t(8 * kPairs) * kTo, 0.0);
  double* filter = all.data();
  for (int pair = 0; pair < kPairs; ++pair)
    for (const bool below : {false, true})
      for (const double sign : {1., -1.}) {
        for (int y = 0; y < kSize; ++y)
          for (int x = 0; x < kSize; ++x)
            for (int c = 0; c < kColours; ++c) {
              const double v =
                  single[2 * size_t(pair) * kFrom + size_t((y * kSize + x) * kColours + c)] * std::sqrt(0.5);
              const auto at = [&](int down, int right) { return size_t((down * kPairSize + right) * kColours + c); };
              constexpr int kMiddle = kLag / 2;
              filter[below ? at(y, x + kMiddle) : at(y + kMiddle, x)] += v;
              filter[below ? at(y + kLag, x + kMiddle) : at(y + kMiddle, x + kLag)] += sign * v;
            }
        for (size_t i = 0; i < kTo; ++i) filter[kTo + i] = -filter[i];
        filter += 2 * kTo;
      }
  return all;
}

}  // namespace

TextureLoss::TextureLoss(Stream& stream, const Shape& image, float black, DType compute, double weight) {
  TT_CHECK(image.h % 8 == 0 && image.w % 8 == 0 && image.h >= kSmallest && image.w >= kSmallest, ShapeError,
           "the texture loss takes images whose sides are multiples of 8 and at least ", kSmallest, ", not ", image.h,
           " x ", image.w);
  Graph g;
  const Value input = g.input(image);
  std::vector<FeatureDifference::Feature> features;
  const auto compare = [&](Value v, double share) {
    g.output(v);
    features.push_back({v, share});
  };
  Value x = input;
  const auto statistics = [&](const std::string& name, int channels, int size, double share = 1) {
    const Conv::Settings settings{.channels = channels, .size = size, .geometry = {}, .bias = false, .act = Act::relu};
    const Value responses = g.add<Conv>(name, {x}, settings);
    compare(g.add<AvgPool>(name + ".statistics", {responses}, kWindow, kStride), share * weight);
  };
  for (int scale = 0; scale < kScales; ++scale) {
    statistics(cat("filters", scale), 2 * kFilters, kSize);
    const bool room = int(std::min(image.h, image.w)) >> scale >= kPairSize - 1 + kWindow;
    if (scale >= kPairScale && room) statistics(cat("pairs", scale), 8 * kPairs, kPairSize, kPairShare);
    x = g.add<AvgPool>(cat("shrink", scale), {x}, 2, 2);
  }
  compare(x, weight / (1 - double(black)));
  difference_ = std::make_unique<FeatureDifference>(stream, g, input, std::move(features), compute);
  Program& net = difference_->net();
  const double span = 1 - double(black);
  const std::vector<double> values = filters(span), pairs = pair_filters(span);
  for (const Param& p : net.params().all())
    net.params().write(stream, p, p.spec.names[0].starts_with("pairs") ? pairs : values);
  net.params_changed();
}

}  // namespace telltale
