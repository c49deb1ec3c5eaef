#include "models/inpainter/texture_loss.h"

#include <cmath>

#include "engine/layers/all.h"
#include "kernels/device/philox.h"

namespace telltale {
namespace {

constexpr int kSize = 5, kInner = 3, kColours = 3;
constexpr int kWindow = 8, kStride = 4;
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
  for (int scale = 0; scale < kScales; ++scale) {
    const Conv::Settings settings{
        .channels = 2 * kFilters, .size = kSize, .geometry = {}, .bias = false, .act = Act::relu};
    const Value responses = g.add<Conv>(cat("filters", scale), {x}, settings);
    compare(g.add<AvgPool>(cat("statistics", scale), {responses}, kWindow, kStride), weight);
    x = g.add<AvgPool>(cat("shrink", scale), {x}, 2, 2);
  }
  compare(x, weight / (1 - double(black)));
  difference_ = std::make_unique<FeatureDifference>(stream, g, input, std::move(features), compute);
  Program& net = difference_->net();
  const std::vector<double> values = filters(1 - double(black));
  for (const Param& p : net.params().all()) net.params().write(stream, p, values);
  net.params_changed();
}

}  // namespace telltale
