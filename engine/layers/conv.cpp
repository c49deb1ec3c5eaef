#include "engine/layers/conv.h"

#include "engine/layers/norm.h"
#include "engine/layers/parts.h"
#include "engine/layers/pointwise.h"
#include "engine/layers/pool.h"
#include "engine/onnx.h"
#include "kernels/conv/gated.h"
#include "kernels/matmul/matmul.h"
#include "kernels/pointwise.h"
#include "kernels/relu_bias.h"

namespace telltale {
std::string Conv::describe() const {
  return describe_conv("Conv", s_.channels, s_.size, s_.geometry) + act_name(s_.act);
}

ConvArgs Conv::args(const Io& io) const {
  return {.x = io.x[0],
          .w = io.w[0],
          .bias = s_.bias ? io.w[1] : Tensor{},
          .residual = {},
          .y = io.y,
          .geometry = s_.geometry,
          .act = s_.act,
          .packed = {}};
}

Spec Conv::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  const Shape w{s_.channels, s_.size, s_.size, x[0].c};
  Spec spec;
  spec.y = checked_output(name, x, w, s_.geometry);
  spec.params.push_back(filter_spec({name + ".weight"}, w, s_.init));
  if (s_.bias)
    spec.params.push_back(bias_spec({name + ".bias"}, s_.channels, bias_init(s_.init, double(w.h) * w.w * w.c)));
  if (c.backward && !c.frozen) spec.keep_x = 1;
  spec.keep_y = c.backward && s_.act != Act::none;
  if (!c.training || c.frozen) {
    const ConvArgs a{.x = {nullptr, x[0], c.compute},
                     .w = {nullptr, w, c.compute},
                     .bias = s_.bias ? Tensor{nullptr, {1, 1, 1, w.n}, accumulator_of(c.compute)} : Tensor{},
                     .residual = {},
                     .y = {nullptr, spec.y, c.compute},
                     .geometry = s_.geometry,
                     .act = s_.act,
                     .packed = {}};
    spec.packed = conv_packed_bytes(c.stream, a);
    if (spec.packed) spec.prepare_only = 1;  // the bias stays as it is
  }
  return spec;
}

void Conv::prepare(Stream& s, const Io& io) const { conv_pack(s, args(io), io.packed); }

void Conv::forward(Stream& s, const Io& io) const {
  ConvArgs a = args(io);
  a.packed = io.packed;
  conv_forward(s, a);
}

namespace {
/// Takes dy through the activation, in place; true where that gave the bias its gradient, too.
bool backward_through(Stream& s, Act act, const Io& io, bool bias) {
  const bool together = act == Act::relu && bias && io.dw_mode[1] != GradMode::ignore;
  if (together) {
    relu_bias_backward(s, {.y = io.y, .dy = io.dy, .dbias = io.dw[1], .mode = io.dw_mode[1]});
  } else if (act != Act::none) {
    activation_backward(s, io.y, io.dy, io.dy, act);
  }
  return together;
}
}  // namespace

void Conv::backward(Stream& s, const Io& io) const {
  const bool bias_done = backward_through(s, s_.act, io, s_.bias);
  backward_products(s, io, s_.bias && !bias_done);
}

void Conv::backward_products(Stream& s, const Io& io, bool with_bias) const {
  ConvGradArgs g{.x = io.x[0], .w = io.w[0], .dy = io.dy, .dx = {}, .dw = {}, .dbias = {}, .geometry = s_.geometry};
  g.dx_mode = io.dx_mode[0];
  g.dw_mode = io.dw_mode[0];
  if (g.dx_mode != GradMode::ignore) g.dx = io.dx[0];
  if (g.dw_mode != GradMode::ignore) {
    g.dw = io.dw[0];
    if (with_bias) g.dbias = io.dw[1];
  }
  conv_backward(s, g);
}

std::unique_ptr<Layer> Conv::absorb(const Layer& next, int, bool constant) const {
  if (s_.act != Act::none) return nullptr;
  if (const auto* a = dynamic_cast<const Activation*>(&next)) {
    auto fused = std::make_unique<Conv>(*this);
    fused->s_.act = a->act;
    return fused;
  }
  const auto* pool = dynamic_cast<const MaxPool*>(&next);
  if (pool && !constant) return std::make_unique<ConvPool>(*this, *pool);
  const auto* norm = dynamic_cast<const BatchNorm*>(&next);
  if (norm && constant) return std::make_unique<ConvBatchNorm>(*this, *norm);
  return nullptr;
}

std::string Linear::describe() const { return cat("Linear ", s_.outputs, act_name(s_.act)); }

Spec Linear::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  const double features = double(x[0].h) * x[0].w * x[0].c;
  Spec spec;
  spec.y = {x[0].n, 1, 1, s_.outputs};
  spec.params.push_back({.names = {name + ".weight"},
                         .shape = {s_.outputs, x[0].h, x[0].w, x[0].c},
                         .init = weight_init(s_.init, features, s_.outputs),
                         .is_linear = true});
  spec.params.push_back(bias_spec({name + ".bias"}, s_.outputs, bias_init(s_.init, features)));
  if (c.backward && !c.frozen) spec.keep_x = 1;
  spec.keep_y = c.backward && s_.act != Act::none;
  return spec;
}

void Linear::forward(Stream& s, const Io& io) const {
  linear_forward(s, {.x = io.x[0], .w = io.w[0], .bias = io.w[1], .y = io.y, .act = s_.act});
}

void Linear::backward(Stream& s, const Io& io) const {
  const bool bias_done = backward_through(s, s_.act, io, true);
  LinearGradArgs g{.x = io.x[0], .w = io.w[0], .dy = io.dy, .dx = {}, .dw = {}, .dbias = {}};
  g.dx_mode = io.dx_mode[0];
  g.dw_mode = io.dw_mode[0];
  if (g.dx_mode != GradMode::ignore) g.dx = io.dx[0];
  if (g.dw_mode != GradMode::ignore) {
    g.dw = io.dw[0];
    if (!bias_done) g.dbias = io.dw[1];
  }
  linear_backward(s, g);
}

std::unique_ptr<Layer> Linear::absorb(const Layer& next, int, bool) const {
  const auto* a = dynamic_cast<const Activation*>(&next);
  if (!a || s_.act != Act::none) return nullptr;
  auto fused = std::make_unique<Linear>(*this);
  fused->s_.act = a->act;
  return fused;
}

void Conv::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const bool acts = s_.act != Act::none;
  const std::string y =
      g.convolution(n.x[0], n.w[0][0], s_.bias ? n.w[1][0] : "", s_.size, s_.geometry, acts ? "" : n.y);
  if (acts) g.activation(y, s_.act, n.y);
}

void Linear::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const std::string rows = g.add("Flatten", {n.x[0]}, {{"axis", int64_t(1)}});
  const std::string y = g.add("Gemm", {rows, n.w[0][0], n.w[1][0]}, {{"transB", int64_t(1)}});
  const bool acts = s_.act != Act::none;
  const std::string places = g.add("Unsqueeze", {y, g.integers({2, 3})}, {}, acts ? "" : n.y);
  if (acts) g.activation(places, s_.act, n.y);
}

}  // namespace telltale
