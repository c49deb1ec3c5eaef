#pragma once
// Pooling over square windows and over adaptive ones.
#include "kernels/device/dispatch.h"

namespace telltale {

struct PoolArgs {
  Tensor x;       ///< {N,H,W,C}
  Tensor y;       ///< {N,Ho,Wo,C}, x's type
  Tensor argmax;  ///< max pooling: {N,Ho,Wo,C} u8, position in the window (row·size + column), optional in inference;
                  ///< size ≤ 15; kNoPosition where relu lets nothing through
  Tensor dy, dx;  ///< backward
  GradMode dx_mode = GradMode::overwrite;
  int size = 2, stride = 2, pad = 0;  ///< padding holds −inf (max) or is not counted in the window's pixels (average:
                                      ///< count_include_pad = false)
  Act act = Act::none;                ///< of the maximum: none or relu
};
/// In argmax: no input of this window gets a gradient.
constexpr uint8_t kNoPosition = 255;
/// {N, (H + 2·pad − size)/stride + 1 (floor), …, C}; throws ShapeError when empty or 2·pad > size.
Shape pool_output(const Shape& x, int size, int stride, int pad);

namespace cpu {
/// The host's own forms, of checked arguments; false where it has none for this window.
void avg_pool_backward(Stream&, const PoolArgs&);
void adaptive_avg_pool_backward(Stream&, const PoolArgs&);
bool max_pool_forward(Stream&, const PoolArgs&);
bool max_pool_backward(Stream&, const PoolArgs&);
}  // namespace cpu

/// y = act(the window's largest element) (first in row order on ties; NaN propagates; a zero may lose its
/// sign), argmax where given.
void max_pool_forward(Stream&, const PoolArgs&);
/// dx from dy and argmax; each dx element gathers from the windows over it, in fixed order: no atomics.
void max_pool_backward(Stream&, const PoolArgs&);
/// y = the window's mean over real pixels.
void avg_pool_forward(Stream&, const PoolArgs&);
void avg_pool_backward(Stream&, const PoolArgs&);
/// Adaptive average to y's size: window i = [floor(i·H/Ho), ceil((i+1)·H/Ho)), as PyTorch. size, stride and pad are not
/// read.
void adaptive_avg_pool_forward(Stream&, const PoolArgs&);
void adaptive_avg_pool_backward(Stream&, const PoolArgs&);

}  // namespace telltale
