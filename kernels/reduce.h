#pragma once
// Sums in a fixed order: the same bits on every run.
#include "kernels/device/dispatch.h"

namespace telltale {

/// Throws ShapeError where shapes or types don't fit together.
void check_column_sums(const Tensor& x, const Tensor& y);

namespace cpu {
void column_sums(Stream&, Tensor x, Tensor y, GradMode mode);
}  // namespace cpu
namespace cuda {
void column_sums(Stream&, Tensor x, Tensor y, GradMode mode);
}  // namespace cuda

/// y {1,1,1,C} (accumulator type) = Σ over n, h, w of x {N,H,W,C}: a bias's gradient.
inline void column_sums(Stream& s, Tensor x, Tensor y, GradMode mode = GradMode::overwrite) {
  TT_DISPATCH(s, column_sums(s, x, y, mode));
}
/// Sets state->overflow to 1 when any element of x is inf or NaN; never clears it.
void finite_check(Stream&, Tensor x, StepState* state);

}  // namespace telltale
