// DeepFillv2's discriminator (Yu et al. 2019, section 3.3): every point of its output judges the patch it sees.
#include "engine/layers/adversary.h"
#include "nets/build.h"

namespace telltale {
namespace {

constexpr int kSize = 5, kColours = 3;

}  // namespace

Value patch_gan(Graph& g, Value x, const PatchGanSettings& s) {
  TT_CHECK(s.width >= 1, ShapeError, "patch_gan: width must be at least 1, got ", s.width);
  TT_CHECK(s.layers >= 1 && s.layers <= PatchGanSettings::kLayers, ShapeError, "patch_gan: layers must be 1 to ",
           PatchGanSettings::kLayers, ", got ", s.layers);
  constexpr int kChannels[PatchGanSettings::kLayers] = {1, 2, 4, 4, 4, 4};  // in units of `width`
  constexpr float kLeak = 0.2f;
  if (s.grain > 0) {
    const Value high = g.add<Conv>(
        kPatchGanGrain, {x},
        Conv::Settings{
            .channels = kColours, .size = kSize, .geometry = {.stride = 1, .pad = kSize / 2}, .bias = false});
    g.freeze(kPatchGanGrain);
    x = g.add<Concat>("seen", {x, high});
  }
  for (int index = 0; index < s.layers; ++index) {
    const std::string name = cat("conv", index + 1);
    x = g.add<SpectralConv>(name, {x}, SpectralConv::Settings{kChannels[index] * s.width, kSize, {2, kSize / 2, 1}});
    x = g.add<LeakyRelu>(name + ".leak", {x}, kLeak);
  }
  g.output(x);
  return x;
}

std::vector<double> patch_gan_grain(double grain) {
  constexpr double kBinomial[kSize] = {1. / 16, 4. / 16, 6. / 16, 4. / 16, 1. / 16};
  std::vector<double> filter(size_t(kColours) * kSize * kSize * (kColours + 1), 0.0);  // the mask's part stays 0
  for (int c = 0; c < kColours; ++c) {
    for (int y = 0; y < kSize; ++y) {
      for (int x = 0; x < kSize; ++x) {
        const double identity = y == kSize / 2 && x == kSize / 2;
        filter[(size_t(c * kSize + y) * kSize + size_t(x)) * (kColours + 1) + size_t(c)] =
            grain * (identity - kBinomial[y] * kBinomial[x]);
      }
    }
  }
  return filter;
}

}  // namespace telltale
