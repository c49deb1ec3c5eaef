#pragma once
// Backward of y = relu(x + bias) in one pass.
#include "kernels/device/dispatch.h"

namespace telltale {

struct ReluBiasGradArgs {
  Tensor y;      ///< {N,H,W,C}: only where it is above 0 does a gradient pass
  Tensor dy;     ///< y's shape and type; becomes dx
  Tensor dbias;  ///< {1,1,1,C}, accumulator_of(y's type): Σ dx over n, h, w, obeying mode
  GradMode mode = GradMode::overwrite;
};
/// Throws ShapeError where shapes or types don't fit together.
void check_relu_bias(const ReluBiasGradArgs&);

namespace cpu {
void relu_bias_backward(Stream&, const ReluBiasGradArgs&);
}  // namespace cpu
namespace cuda {
void relu_bias_backward(Stream&, const ReluBiasGradArgs&);
}  // namespace cuda
/// dy is masked whatever the mode; dbias is not touched where it says ignore.
inline void relu_bias_backward(Stream& s, const ReluBiasGradArgs& a) { TT_DISPATCH(s, relu_bias_backward(s, a)); }

}  // namespace telltale
