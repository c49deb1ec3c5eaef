#include "engine/layers/adversary.h"

#include "engine/layers/parts.h"
#include "kernels/leaky_relu.h"
#include "kernels/norm/spectral_norm.h"
#include "kernels/parts/math.h"
#include "kernels/reduce.h"

namespace telltale {
namespace {

/// Where a constant layer keeps its divided filter: as it is, for backward, and as the device packs it, for forward.
struct Divided {
  Tensor sigma, w, packed;
  size_t bytes;
  Divided(void* base, const Shape& filter, DType compute, size_t packed_bytes) {
    const auto aligned = [](size_t b) { return (b + 255) / 256 * 256; };
    char* at = static_cast<char*>(base);
    sigma = {at, {1, 1, 1, 1}, accumulator_of(compute)};
    const size_t w_at = aligned(sigma.bytes());
    w = {at ? at + w_at : nullptr, filter, compute};
    bytes = w_at + aligned(w.bytes()) + aligned(packed_bytes);
    if (at && packed_bytes) {
      packed = {at + w_at + aligned(w.bytes()), {1, 1, int(ceil_div(int64_t(packed_bytes), 256)), 256}, DType::u8};
    }
  }
};

SpectralNormArgs norm_args(const Io& io, Tensor y, Tensor sigma, bool iterate) {
  return {.w = io.w[0], .u = io.w[2], .v = io.w[3], .sigma = sigma, .y = y, .iterate = iterate};
}

}  // namespace

std::string SpectralConv::describe() const { return describe_conv("SpectralConv", s_.channels, s_.size, s_.geometry); }

ConvArgs SpectralConv::args(Tensor x, Tensor w, Tensor bias, Tensor y) const {
  return {
      .x = x, .w = w, .bias = bias, .residual = {}, .y = y, .geometry = s_.geometry, .act = Act::none, .packed = {}};
}

Spec SpectralConv::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  const Shape w{s_.channels, s_.size, s_.size, x[0].c};
  Spec spec;
  spec.y = checked_output(name, x, w, s_.geometry);
  ParamSpec filter = filter_spec({name + ".weight_orig"}, w, InitRule::kaiming_fan_in);
  filter.keep_f32 = true;  // it is divided before it is rounded
  const auto vector = [&](const char* part, Shape shape) {
    return ParamSpec{
        .names = {name + part}, .shape = shape, .init = {Init::Kind::normal, 1}, .trainable = false, .keep_f32 = true};
  };
  spec.params = {filter, bias_spec({name + ".bias"}, s_.channels, {}), vector(".weight_u", {1, 1, 1, w.n}),
                 vector(".weight_v", {1, w.h, w.w, w.c})};
  const DType wide = accumulator_of(c.compute);
  if (!c.training || c.frozen) {
    const ConvArgs a = args({nullptr, x[0], c.compute}, {nullptr, w, c.compute}, {nullptr, {1, 1, 1, w.n}, wide},
                            {nullptr, spec.y, c.compute});
    spec.packed = Divided(nullptr, w, c.compute, conv_packed_bytes(c.stream, a)).bytes;
  } else {
    spec.keep_x = 1;
    spec.saved = {{w, c.compute}, {{1, 1, 1, 1}, wide}, {w, wide}};  // w/σ, σ, and backward's room for d(w/σ)
  }
  return spec;
}

void SpectralConv::prepare(Stream& s, const Io& io) const {
  ConvArgs a = args(io.x[0], {nullptr, io.w[0].shape, io.y.dtype}, io.w[1], io.y);
  const Divided divided(io.packed.data, io.w[0].shape, io.y.dtype, conv_packed_bytes(s, a));
  spectral_norm_forward(s, norm_args(io, divided.w, divided.sigma, /*iterate=*/false));
  a.w = divided.w;
  if (divided.packed) conv_pack(s, a, divided.packed);
}

void SpectralConv::forward(Stream& s, const Io& io) const {
  if (!constant(io)) {
    spectral_norm_forward(s, norm_args(io, io.saved[0], io.saved[1], /*iterate=*/true));
    return conv_forward(s, args(io.x[0], io.saved[0], io.w[1], io.y));
  }
  ConvArgs a = args(io.x[0], {nullptr, io.w[0].shape, io.y.dtype}, io.w[1], io.y);
  const Divided divided(io.packed.data, io.w[0].shape, io.y.dtype, conv_packed_bytes(s, a));
  a.w = divided.w;
  a.packed = divided.packed;
  conv_forward(s, a);
}

void SpectralConv::backward(Stream& s, const Io& io) const {
  ConvGradArgs g{.x = io.x[0], .w = {}, .dy = io.dy, .dx = {}, .dw = {}, .dbias = {}, .geometry = s_.geometry};
  g.w = constant(io) ? Divided(io.packed.data, io.w[0].shape, io.y.dtype, 0).w : io.saved[0];
  g.dx_mode = io.dx_mode[0];
  if (g.dx_mode != GradMode::ignore) g.dx = io.dx[0];
  const bool trains = io.dw_mode[0] != GradMode::ignore;
  g.dw_mode = trains ? GradMode::overwrite : GradMode::ignore;
  if (trains) g.dw = io.saved[2];
  if (trains) column_sums(s, io.dy, io.dw[1], io.dw_mode[1]);
  conv_backward(s, g);
  if (!trains) return;
  spectral_norm_backward(s, {.w = io.w[0],
                             .u = io.w[2],
                             .v = io.w[3],
                             .sigma = io.saved[1],
                             .dy = io.saved[2],
                             .dw = io.dw[0],
                             .dw_mode = io.dw_mode[0]});
}

Spec LeakyRelu::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = x[0];
  spec.keep_y = c.backward;
  spec.inplace = 0;
  return spec;
}

void LeakyRelu::forward(Stream& s, const Io& io) const { leaky_relu_forward(s, io.x[0], io.y, slope_); }

void LeakyRelu::backward(Stream& s, const Io& io) const {
  leaky_relu_backward(s, io.y, io.dy, io.dx[0], slope_, io.dx_mode[0]);
}

}  // namespace telltale
