#pragma once
// Leaky ReLU (Maas et al. 2013).
#include "kernels/device/dispatch.h"

namespace telltale {

/// y = x where x > 0, else slope·x; slope > 0. Same shape and type; y may be x.
void leaky_relu_forward(Stream&, Tensor x, Tensor y, float slope);
/// dx = dy, times slope where y ≤ 0 (at the kink as PyTorch); dx may be dy.
void leaky_relu_backward(Stream&, Tensor y, Tensor dy, Tensor dx, float slope, GradMode mode = GradMode::overwrite);

}  // namespace telltale
