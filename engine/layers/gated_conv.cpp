#include "engine/layers/gated_conv.h"

#include "engine/layers/parts.h"
#include "engine/onnx.h"
#include "kernels/conv/gated.h"
#include "kernels/gated_conv.h"

namespace telltale {
std::string GatedConv::describe() const {
  return describe_conv("GatedConv", s_.channels, s_.size, s_.geometry) + act_name(s_.act);
}

std::vector<ParamSpec> GatedConv::parameters(int channels) const {
  const auto names = [&](const char* what) {
    return s_.one_tensor ? std::vector{cat(name, ".conv.", what)}
                         : std::vector{cat(name, ".conv2d.", what), cat(name, ".mask_conv2d.", what)};
  };
  const Shape w{2 * s_.channels, s_.size, s_.size, channels};
  // Each half starts as a convolution of its own would.
  const double area = double(w.h) * w.w;
  const Init init = weight_init(InitRule::kaiming_fan_in, area * w.c, area * s_.channels);
  return {{.names = names("weight"), .shape = w, .init = init}, bias_spec(names("bias"), w.n, {})};
}

ConvArgs GatedConv::args(const Io& io, Tensor z) const {
  return {.x = io.x[0],
          .w = io.w[0],
          .bias = io.w[1],
          .residual = {},
          .y = z,
          .geometry = s_.geometry,
          .act = Act::none,
          .packed = {}};
}

Spec GatedConv::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  const Shape w{2 * s_.channels, s_.size, s_.size, x[0].c};
  const Shape z = checked_output(name, x, w, s_.geometry);
  Spec spec;
  spec.y = {z.n, z.h, z.w, s_.channels};
  spec.params = parameters(x[0].c);
  if (c.backward) {
    spec.saved.push_back({z, c.compute});
    if (!c.frozen) spec.keep_x = 1;
  } else {
    spec.scratch = size_t(z.numel()) * size_of(c.compute);
  }
  if (!c.training || c.frozen) {
    const ConvArgs a{.x = {nullptr, x[0], c.compute},
                     .w = {nullptr, w, c.compute},
                     .bias = {nullptr, {1, 1, 1, w.n}, accumulator_of(c.compute)},
                     .residual = {},
                     .y = {nullptr, z, c.compute},
                     .geometry = s_.geometry,
                     .act = Act::none,
                     .packed = {}};
    spec.packed = conv_packed_bytes(c.stream, a);
    if (spec.packed) spec.prepare_only = 1;  // the bias stays as it is
  }
  return spec;
}

namespace {
/// The convolution's output of 2C channels: kept for backward, or scratch.
Tensor gate_input(const Io& io) {
  if (!io.saved.empty()) return io.saved[0];
  return {io.scratch.data, {io.y.shape.n, io.y.shape.h, io.y.shape.w, 2 * io.y.shape.c}, io.y.dtype};
}
}  // namespace

void GatedConv::prepare(Stream& s, const Io& io) const { conv_pack(s, args(io, gate_input(io)), io.packed); }

void GatedConv::forward(Stream& s, const Io& io) const {
  const Tensor z = gate_input(io);
  if (io.saved.empty()) {
    gated_conv_forward(s, {.x = io.x[0],
                           .w = io.w[0],
                           .bias = io.w[1],
                           .packed = io.packed,
                           .z = z,
                           .y = io.y,
                           .geometry = s_.geometry,
                           .act = s_.act});
    return;
  }
  ConvArgs a = args(io, z);
  a.packed = io.packed;
  conv_forward(s, a);
  gate_forward(s, {.z = z, .y = io.y, .dy = {}, .dz = {}, .act = s_.act});
}

void GatedConv::backward(Stream& s, const Io& io) const {
  const Tensor z = gate_input(io);
  gate_backward(s, {.z = z, .y = io.y, .dy = io.dy, .dz = z, .act = s_.act});
  ConvGradArgs g{.x = io.x[0], .w = io.w[0], .dy = z, .dx = {}, .dw = {}, .dbias = {}, .geometry = s_.geometry};
  g.dx_mode = io.dx_mode[0];
  g.dw_mode = io.dw_mode[0];
  if (g.dx_mode != GradMode::ignore) g.dx = io.dx[0];
  if (g.dw_mode != GradMode::ignore) {
    g.dw = io.dw[0];
    g.dbias = io.dw[1];
  }
  conv_backward(s, g);
}

void GatedConv::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  std::string value, gate;
  if (s_.one_tensor) {
    const std::string both = g.convolution(n.x[0], n.w[0][0], n.w[1][0], s_.size, s_.geometry);
    value = g.slice(both, 1, 0, s_.channels);
    gate = g.slice(both, 1, s_.channels, OnnxGraph::kEnd);
  } else {
    value = g.convolution(n.x[0], n.w[0][0], n.w[1][0], s_.size, s_.geometry);
    gate = g.convolution(n.x[0], n.w[0][1], n.w[1][1], s_.size, s_.geometry);
  }
  g.add("Mul", {g.activation(value, s_.act, ""), g.activation(gate, Act::sigmoid, "")}, {}, n.y);
}

}  // namespace telltale
