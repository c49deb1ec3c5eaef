// VGG11 without batch norm (Simonyan & Zisserman 2015, configuration A).
#include "nets/build.h"

namespace telltale {

Value vgg11(Graph& g, Value x, const DetectorSettings& s) {
  constexpr int kPool = 0;
  int index = 0;  // torchvision numbers convolutions, relus and pools in one sequence
  for (int channels : {64, kPool, 128, kPool, 256, 256, kPool, 512, 512, kPool, 512, 512, kPool}) {
    if (channels == kPool) {
      x = g.add<MaxPool>(cat("features.", index++), {x}, 2, 2);
      continue;
    }
    x = conv(g, cat("features.", index), x, {scaled(channels, s.width), 3, {1, 1, 1}});
    x = relu(g, cat("features.", index + 1), x);
    index += 2;
  }
  x = g.add<AdaptiveAvgPool>("avgpool", {x}, 7, 7);
  for (int i : {0, 3}) {
    const Linear::Settings hidden{scaled(4096, s.width), Act::none, InitRule::normal_001};
    x = g.add<Linear>(cat("classifier.", i), {x}, hidden);
    x = relu(g, cat("classifier.", i + 1), x);
    if (s.dropout > 0) x = g.add<Dropout>(cat("classifier.", i + 2), {x}, s.dropout);
  }
  return g.add<Linear>("classifier.6", {x}, Linear::Settings{s.outputs, Act::none, InitRule::normal_001});
}

}  // namespace telltale
