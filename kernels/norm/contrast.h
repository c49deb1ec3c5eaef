#pragma once
// Features beside how far each lies from its own picture's mean, in units of its own picture's spread.
#include "kernels/device/dispatch.h"

namespace telltale {

inline constexpr double kContrastEpsilon = 0.01;

struct ContrastArgs {
  Tensor x;      ///< {N,H,W,C}
  Tensor y;      ///< {N,H,W,2C}, x's type: x, then (x − mean)/√(variance + .01), both over h and w of x's sample
  Tensor stats;  ///< {N,1,1,2C}, accumulator_of(x's type): the means, then 1/√(variance + .01)
};
/// Assigns y and stats. The second half is instance normalisation (Ulyanov 2016) without affine parameters.
void contrast_forward(Stream&, const ContrastArgs&);

struct ContrastGradArgs {
  Tensor x, stats;  ///< as forward left them
  Tensor dy, dx;    ///< {N,H,W,2C}, {N,H,W,C}, x's type
  GradMode mode = GradMode::overwrite;
};
void contrast_backward(Stream&, const ContrastGradArgs&);

}  // namespace telltale
