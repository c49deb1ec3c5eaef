// VGG11 without batch norm (Simonyan & Zisserman 2015, configuration A).
#include "nets/build.h"

namespace telltale {

std::vector<Value> vgg11_features(Graph& g, Value x, int blocks, double width) {
  const std::vector<int> channels[] = {{64}, {128}, {256, 256}, {512, 512}, {512, 512}};
  std::vector<Value> ends;
  int index = 0;  // torchvision numbers convolutions, relus and pools in one sequence
  for (int block = 0; block < blocks; ++block) {
    if (block > 0) x = g.add<MaxPool>(cat("features.", index++), {x}, 2, 2);
    for (int c : channels[block]) {
      x = conv(g, cat("features.", index), x, {scaled(c, width), 3, {1, 1, 1}});
      x = relu(g, cat("features.", index + 1), x);
      index += 2;
    }
    ends.push_back(x);
  }
  return ends;
}

Value vgg11(Graph& g, Value x, const DetectorSettings& s) {
  x = g.add<MaxPool>("features.20", {vgg11_features(g, x, 5, s.width).back()}, 2, 2);
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
