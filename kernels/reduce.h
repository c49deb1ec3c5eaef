#pragma once
// Sums in a fixed order: the same bits on every run.
#include "kernels/device/dispatch.h"

namespace telltale {

/// Throw ShapeError where shapes or types don't fit together.
void check_column_sums(const Tensor& x, const Tensor& y);
void check_sum_of_squares(const Tensor& x, const Tensor& y);

namespace cpu {
void column_sums(Stream&, Tensor x, Tensor y, GradMode mode);
void sum_of_squares(Stream&, Tensor x, Tensor y);
}  // namespace cpu
namespace cuda {
void column_sums(Stream&, Tensor x, Tensor y, GradMode mode);
void sum_of_squares(Stream&, Tensor x, Tensor y);
}  // namespace cuda

/// y {1,1,1,C} (accumulator type) = Σ over n, h, w of x {N,H,W,C}: a bias's gradient.
inline void column_sums(Stream& s, Tensor x, Tensor y, GradMode mode = GradMode::overwrite) {
  TT_DISPATCH(s, column_sums(s, x, y, mode));
}
/// y {1,1,1,1} (accumulator type) = Σ x²: a gradient's norm, squared.
inline void sum_of_squares(Stream& s, Tensor x, Tensor y) { TT_DISPATCH(s, sum_of_squares(s, x, y)); }
/// Sets state->overflow to 1 when any element of x is inf or NaN; never clears it.
void finite_check(Stream&, Tensor x, StepState* state);

}  // namespace telltale
