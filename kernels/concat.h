#pragma once
// Joining and splitting channels.
#include <span>

#include "kernels/device/dispatch.h"

namespace telltale {

/// y {N,H,W,ΣC} = the channels of each x in turn; all share N, H, W and type.
void concat_forward(Stream&, std::span<const Tensor> x, Tensor y);
/// dx[i] = its channels of dy, obeying modes[i].
void concat_backward(Stream&, Tensor dy, std::span<const Tensor> dx, std::span<const GradMode> modes);

}  // namespace telltale
