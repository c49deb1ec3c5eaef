#include "engine/layers/pointwise.h"

#include "engine/layers/parts.h"
#include "engine/layers/pool.h"
#include "engine/onnx.h"
#include "kernels/concat.h"
#include "kernels/device/buffer.h"
#include "kernels/dropout.h"
#include "kernels/pointwise.h"

namespace telltale {
std::string Activation::describe() const { return cat("Activation", act_name(act)); }

Spec Activation::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = x[0];
  spec.keep_y = c.backward;
  spec.inplace = 0;
  return spec;
}

void Activation::forward(Stream& s, const Io& io) const { activation_forward(s, io.x[0], io.y, act); }

void Activation::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] != GradMode::ignore) activation_backward(s, io.y, io.dy, io.dx[0], act, io.dx_mode[0]);
}

/// The maximum of relus is relu of the maximum, exactly, and of fewer numbers: backward then spreads gradients that
/// have passed relu, and nobody reads what lies before the pool again.
std::unique_ptr<Layer> Activation::absorb(const Layer& next, int, bool) const {
  const auto* pool = dynamic_cast<const MaxPool*>(&next);
  if (!pool || act != Act::relu || pool->settings().act != Act::none) return nullptr;
  MaxPool::Settings settings = pool->settings();
  settings.act = act;
  return std::make_unique<MaxPool>(settings);
}

Spec Add::plan(const PlanContext&, std::span<const Shape> x) const {
  check_inputs(name, x, 2);
  TT_CHECK(x[0] == x[1], ShapeError, name, ": adds ", to_string(x[1]), " to ", to_string(x[0]));
  Spec spec;
  spec.y = x[0];
  spec.inplace = 0;
  return spec;
}

void Add::forward(Stream& s, const Io& io) const { add_forward(s, io.x[0], io.x[1], io.y); }

void Add::backward(Stream& s, const Io& io) const {
  for (size_t k = 0; k < 2; ++k) {
    if (io.dx_mode[k] != GradMode::ignore) add_gradient(s, io.dy, io.dx[k], io.dx_mode[k]);
  }
}

Spec Concat::plan(const PlanContext&, std::span<const Shape> x) const {
  TT_CHECK(!x.empty(), ShapeError, name, ": nothing to join");
  Spec spec;
  spec.y = x[0];
  spec.y.c = 0;
  for (const Shape& s : x) {
    TT_CHECK(s.n == x[0].n && s.h == x[0].h && s.w == x[0].w, ShapeError, name, ": can't join ", to_string(s), " to ",
             to_string(x[0]));
    spec.y.c += s.c;
  }
  return spec;
}

void Concat::forward(Stream& s, const Io& io) const { concat_forward(s, io.x, io.y); }

void Concat::backward(Stream& s, const Io& io) const { concat_backward(s, io.dy, io.dx, io.dx_mode); }

Spec Blend::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 3);
  TT_CHECK(x[0] == x[1], ShapeError, name, ": blends ", to_string(x[1]), " into ", to_string(x[0]));
  check_mask(name, x[0], x[2]);
  Spec spec;
  spec.y = x[0];
  if (c.backward) spec.keep_x = 4;
  return spec;
}

void Blend::forward(Stream& s, const Io& io) const {
  BlendArgs a;
  a.a = io.x[0];
  a.b = io.x[1];
  a.m = io.x[2];
  a.y = io.y;
  blend_forward(s, a);
}

void Blend::backward(Stream& s, const Io& io) const {
  BlendArgs a;
  a.m = io.x[2];
  a.dy = io.dy;
  a.da = io.dx[0];
  a.db = io.dx[1];
  a.da_mode = io.dx_mode[0];
  a.db_mode = io.dx_mode[1];
  blend_backward(s, a);
  no_gradient(s, io, 2);
}

std::string Dropout::describe() const { return cat("Dropout ", p_); }

Spec Dropout::plan(const PlanContext&, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = x[0];
  spec.inplace = 0;
  return spec;
}

void Dropout::forward(Stream& s, const Io& io) const {
  if (!io.training) {
    if (io.y.data != io.x[0].data) copy(s, io.y, io.x[0]);
    return;
  }
  dropout(s, {.x = io.x[0], .y = io.y, .p = p_, .node = io.node, .state = io.step});
}

void Dropout::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] == GradMode::ignore) return;
  dropout(s, {.x = io.dy, .y = io.dx[0], .p = p_, .node = io.node, .state = io.step, .mode = io.dx_mode[0]});
}

void Activation::to_onnx(OnnxGraph& g, const OnnxNode& n) const { g.activation(n.x[0], act, n.y); }

void Add::to_onnx(OnnxGraph& g, const OnnxNode& n) const { g.add("Add", {n.x[0], n.x[1]}, {}, n.y); }

void Concat::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  g.add("Concat", {n.x.begin(), n.x.end()}, {{"axis", int64_t(1)}}, n.y);
}

void Blend::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const std::string rest = g.add("Sub", {g.constant(1), n.x[2]});
  g.add("Add", {g.add("Mul", {n.x[0], rest}), g.add("Mul", {n.x[1], n.x[2]})}, {}, n.y);
}

void Dropout::to_onnx(OnnxGraph& g, const OnnxNode& n) const { g.add("Identity", {n.x[0]}, {}, n.y); }

}  // namespace telltale
