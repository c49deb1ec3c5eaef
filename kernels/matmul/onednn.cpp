// Matrix products of the host by oneDNN's sgemm, whose matrix-vector paths reach the memory's bandwidth at batch 1. f64
// goes to the oracle; 16-bit types are widened, multiplied in f32 and rounded once, or multiplied by AMX.
#include "kernels/matmul/matmul.h"

#if TT_ONEDNN
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include "kernels/cast.h"
#include "kernels/matmul/amx.h"
#include "kernels/parts/math.h"
#include "kernels/reduce.h"

namespace telltale::cpu {
namespace {

/// c {m×n} = op(a)·op(b) + beta·c, row-major.
void multiply(Stream& s, char op_a, char op_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
              const float* b, int64_t ldb, float* c, int64_t ldc, float alpha = 1, float beta = 0) {
  omp_set_num_threads(s.threads());
  const dnnl_status_t status = dnnl_sgemm(op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  TT_CHECK(status == dnnl_success, DeviceError, "oneDNN's sgemm refused ", m, " x ", n, " x ", k, " (status ",
           int(status), ")");
}

/// For these batches sgemm is up to twice as fast with the weights on the left (measured with 4096 features to 4096).
bool is_better_turned(int64_t batch) { return batch >= 4 && batch < 64; }

/// y {N×O} = act(product + bias), product's elements `by_row` and `by_column` apart; may be y itself.
void finish(Stream& s, Tensor y, const float* product, int64_t by_row, int64_t by_column, const float* bias, Act act) {
  const int64_t out = y.shape.c;
#pragma omp parallel for if (y.shape.numel() > 16384) num_threads(s.threads())
  for (int64_t n = 0; n < y.shape.n; ++n) {
    const float* from = product + n * by_row;
    float* to = y.as<float>() + n * out;
    for (int64_t o = 0; o < out; ++o) to[o] = activate(act, bias ? from[o * by_column] + bias[o] : from[o * by_column]);
  }
}

}  // namespace

void linear_forward(Stream& s, const LinearArgs& a) {
  check(a);
  if (a.x.dtype == DType::f64 || a.x.shape.numel() == 0) return ref::linear_forward(s, a);
  if (amx::fits(a)) return amx::linear_forward(s, a);
  const int64_t batch = a.y.shape.n, out = a.y.shape.c, in = a.w.shape.numel() / out;
  const bool turned = is_better_turned(batch);
  TypedCopies f32(s, DType::f32, {a.x, a.w, a.y}, turned ? size_t(batch * out) * sizeof(float) : 0);
  const Tensor x = f32.values(a.x), w = f32.values(a.w), y = f32.room(a.y);
  if (turned) {
    float* product = reinterpret_cast<float*>(f32.extra());
    multiply(s, 'N', 'T', out, batch, in, w.as<float>(), in, x.as<float>(), in, product, batch);
    finish(s, y, product, 1, batch, a.bias.as<float>(), a.act);
  } else {
    multiply(s, 'N', 'T', batch, out, in, x.as<float>(), in, w.as<float>(), in, y.as<float>(), out);
    if (a.bias || a.act != Act::none) finish(s, y, y.as<float>(), out, 1, a.bias.as<float>(), a.act);
  }
  if (y.data != a.y.data) cast(s, y, a.y);
}

void linear_backward(Stream& s, const LinearGradArgs& a) {
  check(a);
  if (a.x.dtype == DType::f64 || a.x.shape.numel() == 0) return ref::linear_backward(s, a);
  const int64_t batch = a.dy.shape.n, out = a.dy.shape.c, in = a.w.shape.numel() / out;
  const auto beta = [](GradMode m) { return m == GradMode::accumulate ? 1.f : 0.f; };
  if (a.dx && a.dx_mode != GradMode::ignore && amx::fits(a)) {
    amx::linear_input_gradient(s, a);
  } else if (a.dx && a.dx_mode != GradMode::ignore) {
    TypedCopies f32(s, DType::f32, {a.dy, a.w, a.dx});
    const Tensor dy = f32.values(a.dy), w = f32.values(a.w);
    const Tensor dx = a.dx_mode == GradMode::accumulate ? f32.values(a.dx) : f32.room(a.dx);
    multiply(s, 'N', 'N', batch, in, out, dy.as<float>(), out, w.as<float>(), in, dx.as<float>(), in, 1,
             beta(a.dx_mode));
    if (dx.data != a.dx.data) cast(s, dx, a.dx);
  }
  if (a.dw_mode == GradMode::ignore) return;
  if (a.dw && amx::fits(a)) {
    amx::linear_filter_gradient(s, a);
  } else if (a.dw) {
    TypedCopies f32(s, DType::f32, {a.dy, a.x});
    const Tensor dy = f32.values(a.dy), x = f32.values(a.x);
    multiply(s, 'T', 'N', out, in, batch, dy.as<float>(), out, x.as<float>(), in, a.dw.as<float>(), in, 1,
             beta(a.dw_mode));
  }
  if (a.dbias) telltale::column_sums(s, a.dy, a.dbias, a.dw_mode);
}

void gemm(Stream& s, const GemmArgs& a) {
  check(a);
  if (a.dtype == DType::f64 || a.m == 0 || a.n == 0 || a.k == 0) return ref::gemm(s, a);
  for (int64_t i = 0; i < a.batch; ++i) {
    multiply(s, a.transpose_a ? 'T' : 'N', a.transpose_b ? 'T' : 'N', a.m, a.n, a.k,
             static_cast<const float*>(a.a) + i * a.stride_a, a.lda, static_cast<const float*>(a.b) + i * a.stride_b,
             a.ldb, static_cast<float*>(a.c) + i * a.stride_c, a.ldc, float(a.alpha), float(a.beta));
  }
}

}  // namespace telltale::cpu

#else

namespace telltale::cpu {
void linear_forward(Stream& s, const LinearArgs& a) { ref::linear_forward(s, a); }
void linear_backward(Stream& s, const LinearGradArgs& a) { ref::linear_backward(s, a); }
void gemm(Stream& s, const GemmArgs& a) { ref::gemm(s, a); }
}  // namespace telltale::cpu

#endif
