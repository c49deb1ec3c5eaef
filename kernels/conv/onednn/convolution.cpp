// Convolutions of the host by oneDNN, on plain NHWC activations: its fastest forward kernels want just that. f64 goes
// to the oracle. 16-bit types are widened, convolved in f32 and rounded once: oneDNN 2.6 refuses bf16 on many CPUs, and
// equal rounding everywhere matters more here than its speed.
#include "kernels/conv/conv.h"

#if TT_ONEDNN
#include "kernels/cast.h"
#include "kernels/conv/onednn/plan.h"
#include "kernels/reduce.h"

namespace telltale::cpu {
namespace {

using Kind = ConvProblem::Kind;

ConvProblem problem_of(Kind kind, const Shape& x, const Shape& w, const ConvGeometry& g) {
  return {kind, x, w, conv_output(x, w, g), g.stride, g.dilation, g.pad, g.pad};
}

ConvProblem forward_problem(const ConvArgs& a, bool packed) {
  ConvProblem p = problem_of(Kind::forward, a.x.shape, a.w.shape, a.geometry);
  p.act = a.act;
  p.bias = bool(a.bias);
  p.add = bool(a.residual);
  p.packed = packed;
  return p;
}

void input_grad(Stream& s, ConvPlans& plans, const ConvGradArgs& a) {
  ConvProblem p = problem_of(Kind::input_grad, a.x.shape, a.w.shape, a.geometry);
  p.add = a.dx_mode == GradMode::accumulate;
  ConvPlan& plan = plans.find(p, s.threads());
  F32Copies f32(s, {a.dy, a.w, a.dx}, plan.bytes);
  const Tensor dx = a.dx_mode == GradMode::accumulate ? f32.values(a.dx) : f32.room(a.dx);
  plan.run(plans.stream(), f32.extra(), f32.values(a.dy).data, f32.values(a.w).data, dx.data);
  if (dx.data != a.dx.data) cast(s, dx, a.dx);
}

void filter_grad(Stream& s, ConvPlans& plans, const ConvGradArgs& a) {
  ConvProblem p = problem_of(Kind::filter_grad, a.x.shape, a.w.shape, a.geometry);
  p.add = a.dw_mode == GradMode::accumulate;
  ConvPlan& plan = plans.find(p, s.threads());
  F32Copies f32(s, {a.x, a.dy}, plan.bytes);
  plan.run(plans.stream(), f32.extra(), f32.values(a.x).data, f32.values(a.dy).data, a.dw.data);
}

}  // namespace

void conv_forward(Stream& s, const ConvArgs& a) {
  check(a);
  if (a.x.dtype == DType::f64 || a.y.shape.numel() == 0) return ref::conv_forward(s, a);
  auto& plans = s.resource<ConvPlans>();
  ConvPlan& plan = plans.find(forward_problem(a, bool(a.packed)), s.threads());
  const bool packed = a.packed && plan.second.differs;
  F32Copies f32(s, {a.x, packed ? Tensor{} : a.w, a.y}, plan.bytes);
  const Tensor y = f32.room(a.y);
  // oneDNN's fast kernels add what y holds; its "binary" addition from elsewhere has slower ones.
  if (a.residual && a.residual.data != y.data) cast(s, a.residual, y);
  if (a.bias) plan.bias.set_data_handle(a.bias.data);
  plan.run(plans.stream(), f32.extra(), f32.values(a.x).data, packed ? a.packed.data : f32.values(a.w).data, y.data,
           packed);
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
  const ConvPlan& plan = s.resource<ConvPlans>().find(forward_problem(a, true), s.threads());
  return plan.second.differs ? plan.second.inner.get_desc().get_size() : 0;
}

void conv_pack(Stream& s, const ConvArgs& a, Tensor packed) {
  if (cpu::conv_packed_bytes(s, a) == 0) return;
  auto& plans = s.resource<ConvPlans>();
  ConvPlan& plan = plans.find(forward_problem(a, true), s.threads());
  F32Copies f32(s, {a.w});
  plan.second.plain.set_data_handle(f32.values(a.w).data);
  plan.second.inner.set_data_handle(packed.data);
  plan.second.convert(plans.stream(), plan.second.plain, plan.second.inner);
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
