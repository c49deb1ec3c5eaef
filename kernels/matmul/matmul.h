#pragma once
// Matrix products: the fully connected layer and a plain GEMM.
#include "kernels/device/dispatch.h"

namespace telltale {

/// y = act(x·wᵀ + bias).
struct LinearArgs {
  Tensor x{};     ///< {N,h,w,c}: features are its h·w·c numbers, I in all
  Tensor w{};     ///< {O,h,w,c} or {O,1,1,I}: O·I numbers, row-major, x's type
  Tensor bias{};  ///< optional {1,1,1,O}, accumulator type
  Tensor y{};     ///< {N,1,1,O}, x's type
  Act act = Act::none;
};
struct LinearGradArgs {
  Tensor x{}, w{}, dy{};       ///< dy already through the activation
  Tensor dx{}, dw{}, dbias{};  ///< optional; dw and dbias of the accumulator type
  GradMode dx_mode = GradMode::overwrite, dw_mode = GradMode::overwrite;
};
/// c = alpha·op(a)·op(b) + beta·c, row-major, op = transpose where asked; a {m×k}, b {k×n}, c {m×n}; f32 or f64. lda,
/// ldb, ldc are row strides. `batch` such products, operands stride_a, stride_b, stride_c elements apart.
struct GemmArgs {
  const void *a = nullptr, *b = nullptr;
  void* c = nullptr;
  DType dtype = DType::f32;
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0, lda = 0, ldb = 0, ldc = 0;
  double alpha = 1, beta = 0;
  int64_t batch = 1, stride_a = 0, stride_b = 0, stride_c = 0;
  bool tf32 = false;  ///< a GPU may round f32 operands to TF32 here, whatever the stream allows
};

/// Throw ShapeError where shapes or types disagree, naming the tensor. Every twin calls these first.
void check(const LinearArgs&);
void check(const LinearGradArgs&);
void check(const GemmArgs&);

namespace cpu {
void linear_forward(Stream&, const LinearArgs&);
void linear_backward(Stream&, const LinearGradArgs&);
void gemm(Stream&, const GemmArgs&);
}  // namespace cpu
namespace cuda {
void linear_forward(Stream&, const LinearArgs&);
void linear_backward(Stream&, const LinearGradArgs&);
void gemm(Stream&, const GemmArgs&);
}  // namespace cuda
namespace ref {
void linear_forward(Stream&, const LinearArgs&);
void linear_backward(Stream&, const LinearGradArgs&);
void gemm(Stream&, const GemmArgs&);
}  // namespace ref

inline void linear_forward(Stream& s, const LinearArgs& a) { TT_DISPATCH(s, linear_forward(s, a)); }
inline void linear_backward(Stream& s, const LinearGradArgs& a) { TT_DISPATCH(s, linear_backward(s, a)); }
inline void gemm(Stream& s, const GemmArgs& a) { TT_DISPATCH(s, gemm(s, a)); }

}  // namespace telltale
