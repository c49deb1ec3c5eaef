#pragma once
// A convolution with its gate, as one op: see gated_conv.h.
#include "kernels/conv/conv.h"

namespace telltale {

/// y = act(conv(x, w[:K]) + bias[:K]) · sigmoid(conv(x, w[K:]) + bias[K:]), for inference.
struct GatedConvArgs {
  Tensor x{};       ///< {N,H,W,C}, any floating-point type
  Tensor w{};       ///< {2K,R,S,C}, x's type
  Tensor bias{};    ///< {1,1,1,2K}, accumulator_of(x's type)
  Tensor packed{};  ///< optional: what conv_pack made of w; the filter is then read from there only
  Tensor z{};       ///< {N,Ho,Wo,2K} as conv_output says, x's type: scratch
  Tensor y{};       ///< {N,Ho,Wo,K}, x's type; assigned
  ConvGeometry geometry{};
  Act act = Act::elu;
};
/// Throws ShapeError where shapes or types disagree, naming the tensor.
void check(const GatedConvArgs&);
/// The convolution to z, then the gate. On a GPU, where cuDNN is faster so: the gates alone to z, then the values by a
/// convolution that gates as it writes, which moves 3 tensors of y's size instead of 5.
void gated_conv_forward(Stream&, const GatedConvArgs&);

}  // namespace telltale
