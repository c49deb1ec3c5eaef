// Convolutions of the host by oneDNN, on plain NHWC activations: its fastest forward kernels want just that. f64 goes
// to the oracle. bf16 is multiplied as it is where the processor does so faster than f32; else 16-bit types are
// widened, row by row where channels are few (narrow/), whole where they are many, summed in f32 and rounded once.
#include "kernels/conv/conv.h"

#if TT_ONEDNN
#include <algorithm>

#include "kernels/cast.h"
#include "kernels/conv/amx/convolution.h"
#include "kernels/conv/narrow/convolution.h"
#include "kernels/conv/onednn/plan.h"
#include "kernels/device/fast_bf16.h"
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

/// The problem's plan: in bf16 where that is as fast as it should be, else in f32.
ConvPlan& plan_of(Stream& s, ConvProblem p, DType type) {
  auto& plans = s.resource<ConvPlans>();
  if (type == DType::bf16 && has_fast_bf16()) {
    p.type = DType::bf16;
    ConvPlan& plan = plans.find(p, s.threads());
    if (!plan.naive) return plan;
    p.type = DType::f32;
  }
  return plans.find(p, s.threads());
}

/// Whether widening row by row beats widening whole tensors. (Measured shape by shape on an AVX-512 machine.)
bool widens_rows(const Shape& x, const Shape& w, DType type) {
  if (size_of(type) != 2 || (type == DType::bf16 && has_fast_bf16())) return false;
  return narrow::fits(x, w, type) && (w.n <= 32 || x.c <= 32);
}

/// Many channels by 3×3 taps are Winograd's.
bool is_for_winograd(const Shape& w, const ConvGeometry& g) {
  return w.h == 3 && w.w == 3 && g.stride == 1 && std::min(w.n, w.c) >= 32 && w.n * w.c >= 2048;
}

/// An f32 result of few channels, which leaves oneDNN's vectors mostly empty: here the order of its sums is known, so
/// that narrow gives the same bits.
bool has_few(const Shape& x, const Shape& w, DType type, const ConvGeometry& g, int result_channels) {
  const bool same_size = g.dilation == 1 && g.more_pad == 0 && 2 * g.pad == w.h - 1 && w.h == w.w;
  return type == DType::f32 && narrow::is_few(result_channels) && same_size && std::max(x.c, w.n) <= 32 &&
         narrow::fits(x, w, type);
}

bool runs_narrow(const ConvArgs& a) {
  if (a.act != Act::none && a.act != Act::relu) return false;
  const Shape &x = a.x.shape, &w = a.w.shape;
  return has_few(x, w, a.x.dtype, a.geometry, w.n) || (widens_rows(x, w, a.x.dtype) && !is_for_winograd(w, a.geometry));
}

bool runs_narrow_to_input(const ConvGradArgs& a) {
  const Shape &x = a.x.shape, &w = a.w.shape;
  return (a.geometry.stride == 1 && has_few(x, w, a.x.dtype, a.geometry, w.c)) ||
         (widens_rows(x, w, a.x.dtype) && !is_for_winograd(w, a.geometry));
}

void input_grad(Stream& s, const ConvGradArgs& a) {
  if (amx::fits_input_gradient(a.x.dtype, a.geometry)) return amx::input_gradient(s, a);
  if (runs_narrow_to_input(a)) return narrow::input_gradient(s, a);
  ConvProblem p = problem_of(Kind::input_grad, a.x.shape, a.w.shape, a.geometry);
  p.add = a.dx_mode == GradMode::accumulate;
  ConvPlan& plan = plan_of(s, p, a.x.dtype);
  TypedCopies as(s, plan.type, {a.dy, a.w, a.dx}, plan.bytes);
  const Tensor dx = a.dx_mode == GradMode::accumulate ? as.values(a.dx) : as.room(a.dx);
  plan.run(s.resource<ConvPlans>().stream(), as.extra(), as.values(a.dy).data, as.values(a.w).data, dx.data);
  if (dx.data != a.dx.data) cast(s, dx, a.dx);
}

void filter_grad(Stream& s, const ConvGradArgs& a) {
  if (amx::fits(a.x.dtype)) return amx::filter_gradient(s, a);
  if (widens_rows(a.x.shape, a.w.shape, a.x.dtype)) return narrow::filter_gradient(s, a);
  ConvProblem p = problem_of(Kind::filter_grad, a.x.shape, a.w.shape, a.geometry);
  p.add = a.dw_mode == GradMode::accumulate;
  ConvPlan& plan = plan_of(s, p, a.x.dtype);
  TypedCopies as(s, plan.type, {a.x, a.dy}, plan.bytes);
  plan.run(s.resource<ConvPlans>().stream(), as.extra(), as.values(a.x).data, as.values(a.dy).data, a.dw.data);
}

}  // namespace

void conv_forward(Stream& s, const ConvArgs& a) {
  check(a);
  if (a.x.dtype == DType::f64 || a.y.shape.numel() == 0) return ref::conv_forward(s, a);
  if (amx::fits(a.x.dtype)) return amx::forward(s, a);
  if (runs_narrow(a)) return narrow::forward(s, a);
  ConvPlan& plan = plan_of(s, forward_problem(a, bool(a.packed)), a.x.dtype);
  const bool packed = a.packed && plan.second.differs;
  TypedCopies as(s, plan.type, {a.x, packed ? Tensor{} : a.w, a.y}, plan.bytes);
  const Tensor y = as.room(a.y);
  // oneDNN's fast kernels add what y holds; its "binary" addition from elsewhere has slower ones.
  if (a.residual && a.residual.data != y.data) cast(s, a.residual, y);
  if (a.bias) plan.bias.set_data_handle(a.bias.data);
  plan.run(s.resource<ConvPlans>().stream(), as.extra(), as.values(a.x).data,
           packed ? a.packed.data : as.values(a.w).data, y.data, packed);
  if (y.data != a.y.data) cast(s, y, a.y);
}

void conv_backward(Stream& s, const ConvGradArgs& a) {
  check(a);
  if (a.x.dtype == DType::f64 || a.dy.shape.numel() == 0) return ref::conv_backward(s, a);
  if (a.dx && a.dx_mode != GradMode::ignore) input_grad(s, a);
  if (a.dw_mode == GradMode::ignore) return;
  if (a.dw) filter_grad(s, a);
  if (a.dbias) telltale::column_sums(s, a.dy, a.dbias, a.dw_mode);
}

size_t conv_packed_bytes(Stream& s, const ConvArgs& a) {
  if (a.x.dtype == DType::f64 || a.x.shape.numel() == 0) return 0;
  if (amx::fits(a.x.dtype)) return amx::packed_bytes(a);
  if (runs_narrow(a)) return 0;
  const ConvPlan& plan = plan_of(s, forward_problem(a, true), a.x.dtype);
  return plan.second.differs ? plan.second.inner.get_desc().get_size() : 0;
}

void conv_pack(Stream& s, const ConvArgs& a, Tensor packed) {
  if (cpu::conv_packed_bytes(s, a) == 0) return;
  if (amx::fits(a.x.dtype)) return amx::pack(s, a, packed);
  ConvPlan& plan = plan_of(s, forward_problem(a, true), a.x.dtype);
  TypedCopies as(s, plan.type, {a.w});
  plan.second.plain.set_data_handle(as.values(a.w).data);
  plan.second.inner.set_data_handle(packed.data);
  plan.second.convert(s.resource<ConvPlans>().stream(), plan.second.plain, plan.second.inner);
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
