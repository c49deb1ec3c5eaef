#pragma once
// What the convolution-like layers share. Private to engine/.
#include <cmath>
#include <string>
#include <vector>

#include "engine/layers/conv.h"
#include "kernels/device/buffer.h"
#include "kernels/parts/math.h"

namespace telltale {

inline Init weight_init(InitRule rule, double fan_in, double fan_out) {
  switch (rule) {
    case InitRule::kaiming_fan_out: return {Init::Kind::normal, float(std::sqrt(2 / fan_out))};
    case InitRule::kaiming_fan_in: return {Init::Kind::normal, float(std::sqrt(2 / fan_in))};
    case InitRule::uniform_fan_in: return {Init::Kind::uniform, float(1 / std::sqrt(fan_in))};
    case InitRule::normal_001: return {Init::Kind::normal, 0.01f};
  }
  return {};
}

inline Init bias_init(InitRule rule, double fan_in) {
  if (rule == InitRule::uniform_fan_in) return {Init::Kind::uniform, float(1 / std::sqrt(fan_in))};
  return {};
}

inline const char* act_name(Act a) {
  switch (a) {
    case Act::relu: return " + relu";
    case Act::elu: return " + elu";
    case Act::sigmoid: return " + sigmoid";
    case Act::tanh: return " + tanh";
    default: return "";
  }
}

inline std::string describe_conv(const char* what, int channels, int size, const ConvGeometry& g) {
  std::string s = cat(what, " ", size, "x", size, "x", channels);
  if (g.stride > 1) s += cat(" /", g.stride);
  if (g.dilation > 1) s += cat(" dilated ", g.dilation);
  return s;
}

/// Shapes of a convolution's filter and output, with the layer's name on any error.
inline Shape checked_output(const std::string& name, std::span<const Shape> x, const Shape& w, const ConvGeometry& g) {
  try {
    return conv_output(x[0], w, g);
  } catch (const ShapeError& e) {
    throw ShapeError(name + ": " + e.what());
  }
}

/// Whether a layer's parameters do not move while this program runs, so that prepare() may have packed them.
inline bool constant(const Io& io) { return !io.training || io.frozen; }

inline void check_inputs(const std::string& name, std::span<const Shape> x, size_t count) {
  TT_CHECK(x.size() == count, ShapeError, name, ": takes ", count, " input(s), got ", x.size());
}

inline void check_mask(const std::string& name, const Shape& x, const Shape& m) {
  TT_CHECK((m == Shape{x.n, x.h, x.w, 1}), ShapeError, name, ": the mask is ", to_string(m), ", expected ",
           to_string(Shape{x.n, x.h, x.w, 1}));
}

/// A mask's gradient is 0: no layer here learns where the hole is.
inline void no_gradient(Stream& s, const Io& io, size_t k) {
  if (io.dx_mode[k] == GradMode::overwrite) fill_zero(s, io.dx[k]);
}

inline ParamSpec filter_spec(std::vector<std::string> names, Shape w, InitRule rule) {
  const double area = double(w.h) * w.w;
  return {.names = std::move(names), .shape = w, .init = weight_init(rule, area * w.c, area * w.n)};
}

inline ParamSpec bias_spec(std::vector<std::string> names, int channels, Init init) {
  return {.names = std::move(names), .shape = {1, 1, 1, channels}, .init = init, .keep_f32 = true};
}

/// Where a bias and a filter that a layer folds while preparing lie in its packed bytes: the filter as the device packs
/// it, or plain where it does not; never both, which would double a net's weights.
struct Folded {
  Tensor w, bias, packed;
  size_t bytes;
  Folded(void* base, const Shape& filter, DType compute, size_t packed_bytes) {
    const auto aligned = [](size_t b) { return (b + 255) / 256 * 256; };
    w = {nullptr, filter, compute};
    bias = {base, {1, 1, 1, filter.n}, accumulator_of(compute)};
    bytes = aligned(bias.bytes()) + aligned(packed_bytes ? packed_bytes : w.bytes());
    if (!base) return;
    char* after = static_cast<char*>(base) + aligned(bias.bytes());
    if (packed_bytes) {
      packed = {after, {1, 1, int(ceil_div(int64_t(packed_bytes), 256)), 256}, DType::u8};
    } else {
      w.data = after;
    }
  }
};

}  // namespace telltale
