#include "kernels/matmul/product.h"

namespace telltale {

Product forward_product(const LinearArgs& a) {
  Product p{.in = a.x.dtype, .out = a.y.dtype, .transpose_a = true};
  p.m = a.y.shape.c;
  p.n = a.y.shape.n;
  p.k = a.w.shape.numel() / p.m;
  p.lda = p.ldb = p.k;
  p.ldd = p.m;
  p.a = a.w.data;
  p.b = a.x.data;
  p.d = a.y.data;
  return p;
}

Product input_grad_product(const LinearGradArgs& a) {
  Product p{.in = a.x.dtype, .out = a.x.dtype};
  p.k = a.dy.shape.c;
  p.n = a.dy.shape.n;
  p.m = a.w.shape.numel() / p.k;
  p.lda = p.ldd = p.m;
  p.ldb = p.k;
  p.a = a.w.data;
  p.b = a.dy.data;
  p.d = a.dx.data;
  p.beta = a.dx_mode == GradMode::accumulate ? 1.f : 0.f;
  return p;
}

Product weight_grad_product(const LinearGradArgs& a) {
  Product p{.in = a.x.dtype, .out = accumulator_of(a.x.dtype), .transpose_b = true};
  p.n = a.dy.shape.c;
  p.k = a.dy.shape.n;
  p.m = a.w.shape.numel() / p.n;
  p.lda = p.ldd = p.m;
  p.ldb = p.n;
  p.a = a.x.data;
  p.b = a.dy.data;
  p.d = a.dw.data;
  p.beta = a.dw_mode == GradMode::accumulate ? 1.f : 0.f;
  return p;
}

Product gemm_product(const GemmArgs& g) {
  Product p{.in = g.dtype, .out = g.dtype, .transpose_a = g.transpose_b, .transpose_b = g.transpose_a};
  p.m = g.n;
  p.n = g.m;
  p.k = g.k;
  p.lda = g.ldb;
  p.ldb = g.lda;
  p.ldd = g.ldc;
  p.batch = g.batch;
  p.stride_a = g.stride_b;
  p.stride_b = g.stride_a;
  p.stride_d = g.stride_c;
  p.a = g.b;
  p.b = g.a;
  p.d = g.c;
  p.alpha = float(g.alpha);
  p.beta = float(g.beta);
  p.tf32 = g.tf32;
  return p;
}

}  // namespace telltale
