#include "engine/layers/bayar.h"

#include "engine/layers/parts.h"
#include "engine/onnx.h"
#include "kernels/bayar_filters.h"

namespace telltale {

std::string BayarConv::describe() const { return describe_conv("BayarConv", s_.channels, s_.size, s_.geometry); }

Spec BayarConv::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  const Shape w{s_.channels, s_.size, s_.size, x[0].c};
  Spec spec;
  spec.y = checked_output(name, x, w, s_.geometry);
  ParamSpec filter = filter_spec({name + ".weight"}, w, InitRule::kaiming_fan_in);
  filter.keep_f32 = true;  // it is projected before it is rounded
  spec.params = {filter};
  if (!c.training || c.frozen) {
    spec.packed = size_t(w.numel()) * size_of(c.compute);
  } else {
    spec.keep_x = 1;
    spec.saved = {{w, c.compute},
                  {w, accumulator_of(c.compute)}};  // the filters, and backward's room for their gradient
  }
  return spec;
}

Tensor BayarConv::filters(const Io& io) const {
  return constant(io) ? Tensor{io.packed.data, io.w[0].shape, io.y.dtype} : io.saved[0];
}

void BayarConv::prepare(Stream& s, const Io& io) const { bayar_filters(s, io.w[0], filters(io), s_.scale); }

void BayarConv::forward(Stream& s, const Io& io) const {
  if (!constant(io)) bayar_filters(s, io.w[0], filters(io), s_.scale);
  conv_forward(s, {.x = io.x[0],
                   .w = filters(io),
                   .bias = {},
                   .residual = {},
                   .y = io.y,
                   .geometry = s_.geometry,
                   .act = Act::none,
                   .packed = {}});
}

void BayarConv::backward(Stream& s, const Io& io) const {
  ConvGradArgs g{.x = io.x[0], .w = filters(io), .dy = io.dy, .dx = {}, .dw = {}, .dbias = {}, .geometry = s_.geometry};
  g.dx_mode = io.dx_mode[0];
  if (g.dx_mode != GradMode::ignore) g.dx = io.dx[0];
  const bool trains = io.dw_mode[0] != GradMode::ignore;
  g.dw_mode = trains ? GradMode::overwrite : GradMode::ignore;
  if (trains) g.dw = io.saved[1];
  conv_backward(s, g);
  if (trains) bayar_filters_gradient(s, io.saved[1], io.dw[0], s_.scale, io.dw_mode[0]);
}

void BayarConv::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const size_t taps = size_t(s_.size) * size_t(s_.size);
  std::vector<float> around(taps, 1), scaled(taps, s_.scale), centre(taps);
  around[taps / 2] = scaled[taps / 2] = 0;
  centre[taps / 2] = s_.scale;
  const std::vector<int64_t> part = {1, 1, s_.size, s_.size};
  const std::string free = n.w[0][0];
  const std::string sum = g.add("ReduceSum", {g.add("Mul", {free, g.constant(part, around)}), g.integers({2, 3})},
                                {{"keepdims", int64_t(1)}});
  const std::string lacking = g.add("Mul", {g.add("Sub", {g.constant(1.0f), sum}), g.constant(1.0f / float(taps - 1))});
  const std::string off = g.add("Mul", {g.add("Add", {free, lacking}), g.constant(part, scaled)});
  g.convolution(n.x[0], g.add("Sub", {off, g.constant(part, centre)}), "", s_.size, s_.geometry, n.y);
}

}  // namespace telltale
