// ResNet-18 and ResNet-50 v1.5 (He et al. 2016); names follow torchvision so that weights load unchanged.
#include <array>

#include "nets/build.h"

namespace telltale {
namespace {

/// A convolution without bias and its batch norm.
Value conv_bn(Graph& g, const std::string& conv_name, const std::string& norm_name, Value x, int channels, int size,
              int stride, int dilation = 1) {
  x = conv(g, conv_name, x, {channels, size, {stride, dilation * (size / 2), dilation}, /*bias=*/false});
  return g.add<BatchNorm>(norm_name, {x});
}

struct Block {
  std::string name;  // "layer1.0"
  int in, mid, out, stride;
  int dilations[2] = {1, 1};  ///< of a basic block's convolutions
};

Value numbered(Graph& g, const Block& b, int i, Value x, int channels, int size, int stride, int dilation = 1) {
  return conv_bn(g, cat(b.name, ".conv", i), cat(b.name, ".bn", i), x, channels, size, stride, dilation);
}

Value add_shortcut(Graph& g, const Block& b, Value y, Value x) {
  if (b.in != b.out || b.stride != 1)
    x = conv_bn(g, b.name + ".downsample.0", b.name + ".downsample.1", x, b.out, 1, b.stride);
  return relu(g, b.name + ".relu", g.add<Add>(b.name + ".add", {y, x}));
}

Value basic(Graph& g, Value x, const Block& b) {
  Value y = relu(g, b.name + ".relu1", numbered(g, b, 1, x, b.mid, 3, b.stride, b.dilations[0]));
  y = numbered(g, b, 2, y, b.out, 3, 1, b.dilations[1]);
  return add_shortcut(g, b, y, x);
}

Value bottleneck(Graph& g, Value x, const Block& b) {
  Value y = relu(g, b.name + ".relu1", numbered(g, b, 1, x, b.mid, 1, 1));
  y = relu(g, b.name + ".relu2", numbered(g, b, 2, y, b.mid, 3, b.stride));
  y = numbered(g, b, 3, y, b.out, 1, 1);
  return add_shortcut(g, b, y, x);
}

Value stem(Graph& g, Value x, double width) {
  return relu(g, "relu", conv_bn(g, "conv1", "bn1", x, scaled(64, width), 7, 2));
}

Value resnet(Graph& g, Value x, const DetectorSettings& s, Value (*block)(Graph&, Value, const Block&), int expansion,
             std::array<int, 4> depths) {
  int in = scaled(64, s.width);
  x = stem(g, x, s.width);
  x = g.add<MaxPool>("maxpool", {x}, 3, 2, 1);
  for (int stage = 0; stage < 4; ++stage) {
    for (int i = 0; i < depths[size_t(stage)]; ++i) {
      const int mid = scaled(64 << stage, s.width);
      const Block b{cat("layer", stage + 1, ".", i), in, mid, mid * expansion, stage > 0 && i == 0 ? 2 : 1};
      x = block(g, x, b);
      in = b.out;
    }
  }
  x = g.add<AdaptiveAvgPool>("avgpool", {x}, 1, 1);
  return g.add<Linear>("fc", {x}, Linear::Settings{s.outputs});
}

}  // namespace

std::vector<Value> resnet18_features(Graph& g, Value x, int stages, double width) {
  TT_CHECK(stages >= 1 && stages <= 4, UsageError, "resnet18 has four stages, not ", stages);
  std::vector<Value> seen = {stem(g, x, width)};
  x = g.add<MaxPool>("maxpool", {seen[0]}, 3, 2, 1);
  int in = scaled(64, width), dilation = 1;
  for (int stage = 0; stage < stages; ++stage) {
    const int out = scaled(64 << stage, width), before = dilation;
    if (stage >= 2) dilation *= 2;
    x = basic(g, x, {cat("layer", stage + 1, ".0"), in, out, out, stage == 1 ? 2 : 1, {before, dilation}});
    x = basic(g, x, {cat("layer", stage + 1, ".1"), out, out, out, 1, {dilation, dilation}});
    in = out;
    seen.push_back(x);
  }
  return seen;
}

Value resnet18(Graph& g, Value x, const DetectorSettings& s) { return resnet(g, x, s, basic, 1, {2, 2, 2, 2}); }
Value resnet50(Graph& g, Value x, const DetectorSettings& s) { return resnet(g, x, s, bottleneck, 4, {3, 4, 6, 3}); }

}  // namespace telltale
