// Convolutions of the host by oneDNN, on plain NHWC activations: its fastest forward kernels want just that. f64 goes
// to the oracle. 16-bit types are widened, convolved in f32 and rounded once: oneDNN 2.6 refuses bf16 on many CPUs, and
// equal rounding everywhere matters more here than its speed.
#include "kernels/conv.h"

#if TT_ONEDNN
#include "kernels/cast.h"
#include "kernels/conv_plan.h"
#include "kernels/reduce.h"

namespace telltale::cpu {
namespace {

using Kind = ConvProblem::Kind;

/// The stream's workspace, handed out piece by piece. Nothing that asks for the workspace itself may run meanwhile.
class Scratch {
 public:
  Scratch(Stream& s, size_t bytes) : next_(s.workspace(bytes).as<char>()) {}
  char* take(size_t bytes) { return std::exchange(next_, next_ + rounded(bytes)); }
  static size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

 private:
  char* next_;
};

/// Bytes that an f32 copy of t takes; none where t is f32 itself or absent.
size_t widened_bytes(const Tensor& t) {
  return t && t.dtype != DType::f32 ? Scratch::rounded(size_t(t.shape.numel()) * sizeof(float)) : 0;
}
/// t itself, or room for it in f32.
Tensor wide(const Tensor& t, Scratch& scratch) {
  if (!t || t.dtype == DType::f32) return t;
  return {scratch.take(widened_bytes(t)), t.shape, DType::f32};
}
/// The same, filled.
Tensor widened(Stream& s, const Tensor& t, Scratch& scratch) {
  const Tensor f = wide(t, scratch);
  if (f.data != t.data) cast(s, t, f);
  return f;
}

ConvProblem problem_of(Kind kind, const Shape& x, const Shape& w, const ConvGeometry& g) {
  return {kind, x, w, conv_output(x, w, g), g.stride, g.dilation, g.pad, g.pad};
}

ConvProblem forward_problem(const ConvArgs& a) {
  ConvProblem p = problem_of(Kind::forward, a.x.shape, a.w.shape, a.geometry);
  p.act = a.act;
  p.bias = bool(a.bias);
  p.add = bool(a.residual);
  return p;
}

/// dx by a stride of 1 is a convolution of dy with the filter turned round, and forward kernels are the faster ones.
ConvProblem input_grad_problem(const ConvGradArgs& a) {
  ConvProblem p = problem_of(Kind::input_grad, a.x.shape, a.w.shape, a.geometry);
  p.add = a.dx_mode == GradMode::accumulate;
  const int pad_h = p.dilation * (p.w.h - 1) - p.pad_h, pad_w = p.dilation * (p.w.w - 1) - p.pad_w;
  if (p.stride != 1 || pad_h < 0 || pad_w < 0) return p;
  p.kind = Kind::forward;
  p.turned = true;
  std::swap(p.x, p.y);
  p.pad_h = pad_h;
  p.pad_w = pad_w;
  return p;
}

void input_grad(Stream& s, ConvPlans& plans, const ConvGradArgs& a) {
  ConvPlan& plan = plans.find(input_grad_problem(a), s.threads());
  Scratch scratch(s, plan.bytes + widened_bytes(a.dy) + widened_bytes(a.w) + widened_bytes(a.dx));
  char* const inner = scratch.take(plan.bytes);
  plan.first.bind(widened(s, a.dy, scratch).data, inner);
  plan.second.bind(widened(s, a.w, scratch).data, inner);
  const Tensor dx = a.dx_mode == GradMode::accumulate ? widened(s, a.dx, scratch) : wide(a.dx, scratch);
  plan.result.bind(dx.data, inner);
  plan.first.load(plans.stream());
  plan.second.load(plans.stream());
  plan.run(plans.stream(), inner);
  plan.result.store(plans.stream());
  if (dx.data != a.dx.data) cast(s, dx, a.dx);
}

void filter_grad(Stream& s, ConvPlans& plans, const ConvGradArgs& a) {
  ConvProblem p = problem_of(Kind::filter_grad, a.x.shape, a.w.shape, a.geometry);
  p.add = a.dw_mode == GradMode::accumulate;
  ConvPlan& plan = plans.find(p, s.threads());
  Scratch scratch(s, plan.bytes + widened_bytes(a.x) + widened_bytes(a.dy));
  char* const inner = scratch.take(plan.bytes);
  plan.first.bind(widened(s, a.x, scratch).data, inner);
  plan.second.bind(widened(s, a.dy, scratch).data, inner);
  plan.result.bind(a.dw.data, inner);
  plan.first.load(plans.stream());
  plan.second.load(plans.stream());
  plan.run(plans.stream(), inner);
  plan.result.store(plans.stream());
}

}  // namespace

void conv_forward(Stream& s, const ConvArgs& a) {
  check(a);
  if (a.x.dtype == DType::f64 || a.y.shape.numel() == 0) return ref::conv_forward(s, a);
  auto& plans = s.resource<ConvPlans>();
  ConvPlan& plan = plans.find(forward_problem(a), s.threads());
  const bool packed = a.packed && plan.second.differs;
  Scratch scratch(s, plan.bytes + widened_bytes(a.x) + (packed ? 0 : widened_bytes(a.w)) + widened_bytes(a.y));
  char* const inner = scratch.take(plan.bytes);
  const Tensor y = wide(a.y, scratch);
  // oneDNN's fast kernels add what y holds; its "binary" addition from elsewhere has slower ones.
  if (a.residual && a.residual.data != y.data) cast(s, a.residual, y);
  plan.first.bind(widened(s, a.x, scratch).data, inner);
  plan.result.bind(y.data, inner);
  if (a.bias) plan.bias.set_data_handle(a.bias.data);
  if (packed) {
    plan.second.inner.set_data_handle(a.packed.data);
  } else {
    plan.second.bind(widened(s, a.w, scratch).data, inner);
    plan.second.load(plans.stream());
  }
  plan.run(plans.stream(), inner);
  if (y.data != a.y.data) cast(s, y, a.y);
}

void conv_backward(Stream& s, const ConvGradArgs& a) {
  check(a);
  if (a.x.dtype == DType::f64 || a.dy.shape.numel() == 0) return ref::conv_backward(s, a);
  auto& plans = s.resource<ConvPlans>();
  if (a.dx && a.dx_mode != GradMode::ignore) input_grad(s, plans, a);
  if (a.dw_mode == GradMode::ignore) return;
  if (a.dw) filter_grad(s, plans, a);
  if (a.dbias) telltale::column_sums(s, a.dy, a.dbias, a.dw_mode);
}

size_t conv_packed_bytes(Stream& s, const ConvArgs& a) {
  if (a.x.dtype == DType::f64 || a.x.shape.numel() == 0) return 0;
  const ConvPlan& plan = s.resource<ConvPlans>().find(forward_problem(a), s.threads());
  return plan.second.differs ? plan.second.inner.get_desc().get_size() : 0;
}

void conv_pack(Stream& s, const ConvArgs& a, Tensor packed) {
  if (cpu::conv_packed_bytes(s, a) == 0) return;
  auto& plans = s.resource<ConvPlans>();
  ConvPlan& plan = plans.find(forward_problem(a), s.threads());
  Scratch scratch(s, widened_bytes(a.w));
  plan.second.plain.set_data_handle(widened(s, a.w, scratch).data);
  plan.second.inner.set_data_handle(packed.data);
  plan.second.load(plans.stream());
}

}  // namespace telltale::cpu

#else

namespace telltale::cpu {
void conv_forward(Stream& s, const ConvArgs& a) { ref::conv_forward(s, a); }
void conv_backward(Stream& s, const ConvGradArgs& a) { ref::conv_backward(s, a); }
size_t conv_packed_bytes(Stream&, const ConvArgs&) { return 0; }
void conv_pack(Stream&, const ConvArgs&, Tensor) {}
}  // namespace telltale::cpu

#endif
