#pragma once
// From bytes to a network's input in one pass.
#include "kernels/device/dispatch.h"

namespace telltale {

struct PreprocessArgs {
  Tensor x;      ///< {N,H,W,3} u8, RGB; with an index {M,H,W,3}
  Tensor index;  ///< optional {1,1,1,N} i32, each in [0, M): sample n is image index[n]
  Tensor flip;   ///< optional {1,1,1,N} u8: 1 mirrors that sample left to right
  Tensor y;      ///< {N,Ho,Wo,3}, floating point; another size resizes (bilinear, antialiased when shrinking) before
                 ///< normalising
  bool blocks = false;  ///< y is {N,Ho/2+3,Wo/2+3,16} instead: blocks_shape of images Ho×Wo (kernels/space_to_depth.h)
  float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};  ///< of x/255; ImageNet's by default
};
/// y[n] = (resize(flip(x[index[n]]))/255 − mean)/std.
void preprocess(Stream&, const PreprocessArgs&);

}  // namespace telltale
