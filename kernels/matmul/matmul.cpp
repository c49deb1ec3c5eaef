#include "kernels/matmul/matmul.h"

namespace telltale {
namespace {

/// x {N,…} and dy or y {N,1,1,O} under w {O,…}.
void check_product(const Tensor& x, const Tensor& w, const Tensor& y) {
  const int64_t in = int64_t(x.shape.h) * x.shape.w * x.shape.c, of_w = int64_t(w.shape.h) * w.shape.w * w.shape.c;
  TT_CHECK(in == of_w, ShapeError, "linear: the input ", to_string(x.shape), " has ", in,
           " features a sample, the weights ", to_string(w.shape), " expect ", of_w);
  TT_CHECK(y.shape == (Shape{x.shape.n, 1, 1, w.shape.n}), ShapeError, "linear: the output is ", to_string(y.shape),
           ", expected ", to_string({x.shape.n, 1, 1, w.shape.n}));
  TT_CHECK(w.shape.n > 0, ShapeError, "linear: the weights ", to_string(w.shape), " have no output");
  TT_CHECK(x.dtype == w.dtype && x.dtype == y.dtype, ShapeError, "linear: input ", name_of(x.dtype), ", weights ",
           name_of(w.dtype), " and output ", name_of(y.dtype), " must be of one type");
}

void check_gradient(const char* name, const Tensor& v, int64_t numel, DType t) {
  TT_CHECK(v.shape.numel() == numel && v.dtype == t, ShapeError, "linear: ", name, " is ", to_string(v.shape), " ",
           name_of(v.dtype), ", expected ", numel, " numbers of ", name_of(t));
}

}  // namespace

void check(const LinearArgs& a) {
  check_product(a.x, a.w, a.y);
  if (a.bias) check_gradient("the bias", a.bias, a.y.shape.c, accumulator_of(a.x.dtype));
}

void check(const LinearGradArgs& a) {
  check_product(a.x, a.w, a.dy);
  const DType accumulator = accumulator_of(a.x.dtype);
  if (a.dx) check_gradient("dx", a.dx, a.x.shape.numel(), a.x.dtype);
  if (a.dw) check_gradient("dw", a.dw, a.w.shape.numel(), accumulator);
  if (a.dbias) check_gradient("dbias", a.dbias, a.dy.shape.c, accumulator);
}

void check(const GemmArgs& a) {
  TT_CHECK(a.dtype == DType::f32 || a.dtype == DType::f64, ShapeError, "gemm: f32 or f64, got ", name_of(a.dtype));
  TT_CHECK(a.m >= 0 && a.n >= 0 && a.k >= 0 && a.batch >= 0, ShapeError, "gemm: ", a.batch, " times ", a.m, " x ", a.n,
           " x ", a.k, " is no product");
  TT_CHECK(a.lda >= (a.transpose_a ? a.m : a.k) && a.ldb >= (a.transpose_b ? a.k : a.n) && a.ldc >= a.n, ShapeError,
           "gemm: row strides ", a.lda, ", ", a.ldb, ", ", a.ldc, " are shorter than the rows");
}

}  // namespace telltale
