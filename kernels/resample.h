#pragma once
// Resizing feature maps.
#include "kernels/device/dispatch.h"

namespace telltale {

/// y {N,Ho,Wo,C} by nearest neighbour: source index floor(i·H/Ho), as PyTorch's mode="nearest".
void nearest_forward(Stream&, Tensor x, Tensor y);
/// dx gathers dy of every output that read it, in row order; obeys mode.
void nearest_backward(Stream&, Tensor dy, Tensor dx, GradMode mode = GradMode::overwrite);
/// The same with the corners aligned: source index round(i·(H − 1)/(Ho − 1)), halves upward, as TensorFlow's
/// resize_nearest_neighbor(align_corners=True).
void nearest_aligned_forward(Stream&, Tensor x, Tensor y);
void nearest_aligned_backward(Stream&, Tensor dy, Tensor dx, GradMode mode = GradMode::overwrite);

}  // namespace telltale
