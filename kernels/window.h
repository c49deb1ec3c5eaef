#pragma once
// Windows of a batch's images, elsewhere in every sample: cut out, and put back.
#include "kernels/device/dispatch.h"

namespace telltale {

/// y {N,h,w,C} = h × w places of each sample of x {N,H,W,C}, any one floating-point type. corner {N,1,1,2} i32 holds
/// row and column of each window's first pixel in an image whose pixels lie `stride` to a place of x; it is rounded
/// down to places, and moved into x where it lies outside. ShapeError when the window is larger than x.
void window_crop(Stream&, Tensor x, Tensor corner, int stride, Tensor y);

/// Images blended with what is known of them in a window.
struct WindowBlendArgs {
  Tensor a{};       ///< {N,H,W,C}, any floating-point type
  Tensor b{};       ///< {N,h,w,C}, the windows, a's type
  Tensor m{};       ///< {N,H,W,1}, a's type
  Tensor corner{};  ///< {N,1,1,2} i32, as above with a stride of 1
  Tensor y{};       ///< a's shape and type, assigned; may be a
};
/// y = a·(1 − m) + b·m inside a sample's window, a outside.
void window_blend(Stream&, const WindowBlendArgs&);

}  // namespace telltale
