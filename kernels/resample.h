#pragma once
// Resizing feature maps and images.
#include "kernels/core/dispatch.h"

namespace telltale {

/// y {N,Ho,Wo,C} by nearest neighbour: source index floor(i·H/Ho), as PyTorch's mode="nearest".
void nearest_forward(Stream&, Tensor x, Tensor y);
/// dx gathers dy of every output that read it, in row order; obeys mode.
void nearest_backward(Stream&, Tensor dy, Tensor dx, GradMode mode = GradMode::overwrite);
/// y {N,Ho,Wo,C} bilinear with half-pixel centres; when shrinking the triangle widens by the scale (antialiasing), as
/// torchvision's resize(antialias=True). Weights are normalised at the borders.
void bilinear_forward(Stream&, Tensor x, Tensor y);
/// Gradient of bilinear_forward.
void bilinear_backward(Stream&, Tensor dy, Tensor dx, GradMode mode = GradMode::overwrite);

}  // namespace telltale
