#include "engine/layers/fixed.h"

#include "engine/layers/parts.h"
#include "engine/onnx.h"
#include "kernels/device/host_values.h"
#include "kernels/pointwise.h"

namespace telltale {

std::string FixedConv::describe() const {
  return describe_conv("FixedConv", s_.channels, s_.size, s_.geometry) + act_name(s_.act);
}

Spec FixedConv::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  const Shape w{s_.channels, s_.size, s_.size, x[0].c};
  TT_CHECK(int64_t(s_.filters.size()) == w.numel(), ShapeError, name, ": has ", s_.filters.size(),
           " numbers for filters of ", to_string(w));
  Spec spec;
  spec.y = checked_output(name, x, w, s_.geometry);
  spec.packed = size_t(w.numel()) * size_of(c.compute);
  spec.keep_y = c.backward && s_.act != Act::none;
  return spec;
}

Tensor FixedConv::filters(const Io& io) const {
  return {io.packed.data, {s_.channels, s_.size, s_.size, io.x[0].shape.c}, io.y.dtype};
}

void FixedConv::prepare(Stream& s, const Io& io) const {
  set_values(s, filters(io), {s_.filters.begin(), s_.filters.end()});
}

void FixedConv::forward(Stream& s, const Io& io) const {
  conv_forward(s, {.x = io.x[0],
                   .w = filters(io),
                   .bias = {},
                   .residual = {},
                   .y = io.y,
                   .geometry = s_.geometry,
                   .act = s_.act,
                   .packed = {}});
}

void FixedConv::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] == GradMode::ignore) return;
  if (s_.act != Act::none) activation_backward(s, io.y, io.dy, io.dy, s_.act);
  ConvGradArgs g{
      .x = io.x[0], .w = filters(io), .dy = io.dy, .dx = io.dx[0], .dw = {}, .dbias = {}, .geometry = s_.geometry};
  g.dx_mode = io.dx_mode[0];
  conv_backward(s, g);
}

void FixedConv::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const int channels = n.x_shape[0].c, area = s_.size * s_.size;
  std::vector<float> w;  // {K,R,S,C} as {K,C,R,S}
  for (int k = 0; k < s_.channels; ++k)
    for (int c = 0; c < channels; ++c)
      for (int tap = 0; tap < area; ++tap)
        w.push_back(s_.filters[(size_t(k) * size_t(area) + size_t(tap)) * size_t(channels) + size_t(c)]);
  const std::string filters = g.constant({s_.channels, channels, s_.size, s_.size}, w, name + ".filters");
  const bool acts = s_.act != Act::none;
  const std::string y = g.convolution(n.x[0], filters, "", s_.size, s_.geometry, acts ? "" : n.y);
  if (acts) g.activation(y, s_.act, n.y);
}

}  // namespace telltale
