// AlexNet (Krizhevsky 2014) as torchvision has it.
#include "nets/build.h"

namespace telltale {

Value alexnet(Graph& g, Value x, const DetectorSettings& s) {
  constexpr InitRule kInit = InitRule::uniform_fan_in;
  const auto feature = [&](int index, Value v, int channels, int size, int stride, int pad) {
    const std::string name = cat("features.", index);
    v = conv(g, name, v, {scaled(channels, s.width), size, {stride, pad, 1}, true, Act::none, kInit});
    return relu(g, cat("features.", index + 1), v);
  };
  x = feature(0, x, 64, 11, 4, 2);
  x = g.add<MaxPool>("features.2", {x}, 3, 2);
  x = feature(3, x, 192, 5, 1, 2);
  x = g.add<MaxPool>("features.5", {x}, 3, 2);
  x = feature(6, x, 384, 3, 1, 1);
  x = feature(8, x, 256, 3, 1, 1);
  x = feature(10, x, 256, 3, 1, 1);
  x = g.add<MaxPool>("features.12", {x}, 3, 2);
  x = g.add<AdaptiveAvgPool>("avgpool", {x}, 6, 6);
  for (int index : {1, 4}) {
    if (s.dropout > 0) x = g.add<Dropout>(cat("classifier.", index - 1), {x}, s.dropout);
    x = g.add<Linear>(cat("classifier.", index), {x}, Linear::Settings{scaled(4096, s.width), Act::none, kInit});
    x = relu(g, cat("classifier.", index + 1), x);
  }
  return g.add<Linear>("classifier.6", {x}, Linear::Settings{s.outputs, Act::none, kInit});
}

}  // namespace telltale
