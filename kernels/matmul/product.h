#pragma once
// Our matrix products as a column-major library runs them: row-major memory read by columns is the transpose.
#include "kernels/matmul/matmul.h"

namespace telltale {

/// d {m×n} = act(alpha·op(a)·op(b) + beta·d + bias), all column-major: a {m×k}, b {k×n} after op, ld = elements from
/// one column to the next as they lie. Sums in f32.
struct Product {
  DType in = DType::f32;   ///< of a and b
  DType out = DType::f32;  ///< of d
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0, lda = 0, ldb = 0, ldd = 0;
  int64_t batch = 1, stride_a = 0, stride_b = 0, stride_d = 0;  ///< elements from one product's operand to the next's
  const void *a = nullptr, *b = nullptr;
  void* d = nullptr;
  float alpha = 1, beta = 0;
  const void* bias = nullptr;  ///< optional, m numbers of type `out`, the same for every column
  bool relu = false;
  bool tf32 = false;  ///< f32 operands may be rounded to 10 bits of mantissa
};

/// yᵀ = w·xᵀ, without bias and activation, whose types may need care.
Product forward_product(const LinearArgs&);
/// dxᵀ = wᵀ·dyᵀ as dx_mode says.
Product input_grad_product(const LinearGradArgs&);
/// dwᵀ = xᵀ·dy as dw_mode says, rounded to no less than f32.
Product weight_grad_product(const LinearGradArgs&);
/// cᵀ = op(b)ᵀ·op(a)ᵀ; f32 only.
Product gemm_product(const GemmArgs&);

}  // namespace telltale
