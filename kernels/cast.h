#pragma once
// Changing element type and layout.
#include "kernels/core/dispatch.h"

namespace telltale {

/// to = from, rounded to nearest even; any two floating-point types, equal numel.
void cast(Stream&, Tensor from, Tensor to);
/// to {N,H,W,C} = from, whose memory is N,C,H,W; `from.shape` still says {n,h,w,c}. Any floating-point type on either
/// side.
void nchw_to_nhwc(Stream&, Tensor from, Tensor to);
/// The way back.
void nhwc_to_nchw(Stream&, Tensor from, Tensor to);

}  // namespace telltale
