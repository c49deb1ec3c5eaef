#pragma once
// Words the net builders share. Private to nets/.
#include <algorithm>
#include <cmath>

#include "engine/layers/all.h"
#include "nets/nets.h"

namespace telltale {

/// channels · width, a multiple of 8 and at least 8, unless width is 1.
inline int scaled(int channels, double width) {
  return width == 1 ? channels : std::max(8, int(std::lround(channels * width / 8)) * 8);
}

inline Value conv(Graph& g, const std::string& name, Value x, const Conv::Settings& s) {
  return g.add<Conv>(name, {x}, s);
}
inline Value relu(Graph& g, const std::string& name, Value x) { return g.add<Activation>(name, {x}, Act::relu); }

/// A convolution without bias, its batch norm, and ReLU: name.conv, name.bn.
inline Value conv_bn_relu(Graph& g, const std::string& name, Value x, int channels, int stride = 1, int size = 3,
                          int dilation = 1) {
  x = conv(g, name + ".conv", x, {channels, size, {stride, dilation * (size / 2), dilation}, /*bias=*/false});
  return relu(g, name + ".relu", g.add<BatchNorm>(name + ".bn", {x}));
}
/// `low` enlarged twofold, beside what an encoder had there, through conv_bn_relu.
inline Value join(Graph& g, const std::string& name, Value low, Value skip, int channels) {
  const Value up = g.add<Upsample>(name + ".up", {low}, 2);
  return conv_bn_relu(g, name, g.add<Concat>(name + ".join", {up, skip}), channels);
}
/// A convolution 1×1 to one logit a place. Over outputs its logits would start far out.
inline Value logit_head(Graph& g, const std::string& name, Value x) {
  Conv::Settings one{1, 1, {}};
  one.init = InitRule::uniform_fan_in;
  return conv(g, name, x, one);
}

/// Features of a quarter of the image's size on the windows, if there are any.
inline Value crop(Graph& g, const std::string& name, Value x, const HoleWindow& window) {
  constexpr int kStride = 4;
  if (window.side == 0) return x;
  TT_CHECK(window.side % kStride == 0, ShapeError, name, ": a window's side must be a multiple of ", kStride, ", got ",
           window.side);
  return g.add<CropWindow>(name, {x, window.corner}, window.side / kStride, kStride);
}
/// The image with its hole as `painted`, which is all of it or its windows.
inline Value blend(Graph& g, const std::string& name, Value image, Value painted, Value mask,
                   const HoleWindow& window) {
  if (window.side == 0) return g.add<Blend>(name, {image, painted, mask});
  return g.add<BlendWindow>(name, {image, painted, mask, window.corner});
}

}  // namespace telltale
