// DeepFillv2's discriminator (Yu et al. 2019, section 3.3): every point of its output judges the patch it sees.
#include "engine/layers/adversary.h"
#include "nets/build.h"

namespace telltale {

Value patch_gan(Graph& g, Value x, int width) {
  TT_CHECK(width >= 1, ShapeError, "patch_gan: width must be at least 1, got ", width);
  constexpr int kChannels[] = {1, 2, 4, 4, 4, 4};  // in units of `width`
  constexpr float kLeak = 0.2f;
  int index = 1;
  for (const int channels : kChannels) {
    const std::string name = cat("conv", index++);
    x = g.add<SpectralConv>(name, {x}, SpectralConv::Settings{channels * width, 5, {2, 2, 1}});
    x = g.add<LeakyRelu>(name + ".leak", {x}, kLeak);
  }
  g.output(x);
  return x;
}

}  // namespace telltale
