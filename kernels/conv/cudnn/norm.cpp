#include "kernels/conv/cudnn/norm.h"

#if TT_CUDNN
#include <vector>

#include "kernels/conv/cudnn/choice.h"
#include "kernels/conv/cudnn/run.h"
#include "kernels/device/buffer.h"
#include "kernels/pointwise.h"

namespace telltale::cudnn {
namespace {

/// cuDNN's vectors start at multiples of 16 bytes: two behind one another in f32 do so for four channels and more.
bool is_for_cudnn(const Tensor& x, std::initializer_list<const void*> vectors) {
  return x.dtype == DType::f16 && x.shape.numel() > 0 && x.shape.c % 4 == 0 && alignment_of(vectors) == 16;
}

/// Vectors of f16 for scale and shift, at `at`.
struct ScaleAndShift {
  Tensor scale, shift;
  ScaleAndShift(const ChannelNorm& norm, char* at)
      : scale{at, norm.gamma.shape, DType::f16}, shift{at + aligned(scale.bytes()), norm.gamma.shape, DType::f16} {}
  static size_t bytes(const ChannelNorm& norm) { return 2 * aligned(size_t(norm.gamma.shape.c) * 2); }
};

void run_forward(Stream& s, const ConvNormArgs& a, const ConvGraph& graph, const Plan& plan) {
  const size_t front = a.norm ? ScaleAndShift::bytes(a.norm) : 0;
  char* base = s.workspace(front + plan.workspace).as<char>();
  ConvPointers p{.x = a.x.data, .w = a.w.data, .y = a.y.data};
  p.sum = a.sums.data;
  p.squares = a.sums.as<float>() + a.w.shape.n;
  if (a.norm) {
    const ScaleAndShift v(a.norm, base);
    norm_as_scale(s, a.norm, v.scale, v.shift);
    p.scale = v.scale.data;
    p.shift = v.shift.data;
  }
  graph.run(plan, p, base + front);
}

void run_filter_gradient(Stream& s, const ConvNormGradArgs& a, const ConvGraph& graph, const Plan& plan) {
  Tensor dw{nullptr, a.dw.shape, DType::f16};
  const size_t rounded = aligned(dw.bytes()), front = rounded + ScaleAndShift::bytes(a.norm);
  char* base = s.workspace(front + plan.workspace).as<char>();
  dw.data = base;
  const ScaleAndShift v(a.norm, base + rounded);
  norm_as_scale(s, a.norm, v.scale, v.shift);
  ConvPointers p{.x = a.x.data, .w = dw.data, .y = a.dy.data};
  p.scale = v.scale.data;
  p.shift = v.shift.data;
  graph.run(plan, p, base + front);
  add_gradient(s, dw, a.dw, a.dw_mode);
}

void run_input_gradient(Stream& s, const ConvNormGradArgs& a, const ConvGraph& graph, const Plan& plan) {
  const Tensor sums{nullptr, {1, 1, 2, a.x.shape.c}, DType::f32};
  const size_t results = aligned(sums.bytes()), front = results + 3 * aligned(size_t(a.x.shape.c) * 4);
  char* base = s.workspace(front + plan.workspace).as<char>();
  ConvPointers p{.x = a.dx.data, .w = a.w.data, .y = a.dy.data};
  p.norm_x = a.x.data;
  p.mean = a.norm.mean.data;
  p.rstd = a.norm.rstd.data;
  p.gamma = a.norm.gamma.data;
  p.beta = a.norm.beta.data;
  p.dgamma = base;
  p.dbeta = base + size_t(a.x.shape.c) * 4;
  p.spare = base + results;
  graph.run(plan, p, base + front);
  norm_input_gradient(s, a, {base, sums.shape, sums.dtype});
}

ConvGradArgs conv_of(const ConvNormGradArgs& a) {
  return {.x = a.x, .w = a.w, .dy = a.dy, .dx = {}, .dw = {}, .dbias = {}, .geometry = a.geometry};
}

using PlainGradient = void (*)(Stream&, const ConvNormGradArgs&);
using FusedGradient = void (*)(Stream&, const ConvNormGradArgs&, const ConvGraph&, const Plan&);

/// Runs either way; the trial writes what weights get to memory of its own.
void gradient(Stream& s, const ConvNormGradArgs& a, const ConvOp& op, FusedGradient fused, PlainGradient plain,
              bool of_filter) {
  const FusedPlans::Entry* e = s.resource<FusedPlans>().find(s, op, 0, [&] {
    Trial t;
    ConvNormGradArgs own = a;
    own.dw_mode = GradMode::overwrite;
    own.dy = to_try_on(s, a.dy, t.owned);
    for (Tensor* v : {&own.dw, &own.dgamma, &own.dbeta}) {
      if (*v) *v = t.owned.emplace_back(s.place(), v->shape, v->dtype).tensor;
    }
    t.results = of_filter ? std::vector{own.dw} : std::vector{own.dx, own.dgamma, own.dbeta};
    t.fused = [&s, own, fused](const ConvGraph& graph, const Plan& plan) { fused(s, own, graph, plan); };
    t.plain = [&s, own, plain] { plain(s, own); };
    return t;
  });
  e ? fused(s, a, e->graph, e->plan) : plain(s, a);
}

}  // namespace

bool conv_norm_forward(Stream& s, const ConvNormArgs& a, void (*plain)(Stream&, const ConvNormArgs&)) {
  const FusedPlans::Entry* e = nullptr;
  if (a.sums && a.w.shape.n % 4 == 0 && is_for_cudnn(a.x, {a.sums.data})) {
    ConvOp op = forward_op({.x = a.x, .w = a.w, .y = a.y, .geometry = a.geometry},
                           alignment_of({a.x.data, a.w.data, a.y.data}), false);
    op.norm = bool(a.norm);
    op.sums = true;
    e = s.resource<FusedPlans>().find(s, op, 0, [&] {
      Trial t;
      // The plain form leaves y's statistics to a pass of their own.
      const Shape v{1, 1, 1, a.w.shape.n};
      BatchNormArgs next;
      next.x = next.y = a.y;
      for (Tensor* p : {&next.gamma, &next.beta, &next.mean, &next.rstd, &next.running_mean, &next.running_var}) {
        const OwnedTensor& own = t.owned.emplace_back(s.place(), v, DType::f32);
        fill_zero(s, own);
        *p = own;
      }
      t.results = {a.y, next.mean, next.rstd};
      t.fused = [&s, a, next](const ConvGraph& graph, const Plan& plan) {
        run_forward(s, a, graph, plan);
        batchnorm_statistics_of(s, next, a.sums);
      };
      t.plain = [&s, a, next, plain] {
        plain(s, a);
        telltale::batchnorm_statistics(s, next);
      };
      return t;
    });
  }
  e ? run_forward(s, a, e->graph, e->plan) : plain(s, a);
  return e != nullptr;
}

void conv_norm_filter_gradient(Stream& s, const ConvNormGradArgs& a, PlainGradient plain) {
  if (!is_for_cudnn(a.x, {})) return plain(s, a);
  ConvOp op = filter_grad_op(conv_of(a), alignment_of({a.x.data, a.dy.data}), false);
  op.norm = true;
  gradient(s, a, op, run_filter_gradient, plain, true);
}

void conv_norm_input_gradient(Stream& s, const ConvNormGradArgs& a, PlainGradient plain) {
  const ChannelNorm& n = a.norm;
  if (!is_for_cudnn(a.x, {n.mean.data, n.rstd.data, n.gamma.data, n.beta.data})) return plain(s, a);
  ConvOp op = input_grad_op(conv_of(a), alignment_of({a.x.data, a.dx.data, a.w.data, a.dy.data}), false);
  op.norm = true;
  op.add = false;
  gradient(s, a, op, run_input_gradient, plain, false);
}

}  // namespace telltale::cudnn
#else
namespace telltale::cudnn {
bool conv_norm_forward(Stream& s, const ConvNormArgs& a, void (*plain)(Stream&, const ConvNormArgs&)) {
  plain(s, a);
  return false;
}
void conv_norm_filter_gradient(Stream& s, const ConvNormGradArgs& a, void (*plain)(Stream&, const ConvNormGradArgs&)) {
  plain(s, a);
}
void conv_norm_input_gradient(Stream& s, const ConvNormGradArgs& a, void (*plain)(Stream&, const ConvNormGradArgs&)) {
  plain(s, a);
}
}  // namespace telltale::cudnn
#endif
