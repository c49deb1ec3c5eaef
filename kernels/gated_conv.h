#pragma once
// The gate of a gated convolution (Yu et al. 2019, "Free-form image inpainting with gated convolution", §3.1): one
// convolution of 2C channels gives value and gate, this op fuses act(value)·sigmoid(gate).
#include "kernels/device/dispatch.h"

namespace telltale {

struct GateArgs {
  Tensor z{};   ///< {N,H,W,2C}: channels [0,C) are the value, [C,2C) the gate
  Tensor y{};   ///< {N,H,W,C}, z's type
  Tensor dy{};  ///< backward: y's shape
  Tensor dz{};  ///< backward: z's shape, assigned; may be z itself
  Act act = Act::elu;
};
/// y = act(z[..., :C]) · sigmoid(z[..., C:]).
void gate_forward(Stream&, const GateArgs&);
/// The gate behind a convolution whose places are the corners between y's pairs of pixels, and which computed at each
/// the four pixels around it: y {N,2H,2W,C} from z {N,H+1,W+1,8C}. y[2i−1+u, 2j−1+v] lies at z[i,j] in channels
/// [2C·p, 2C·p + 2C) with p = 2u + v, value before gate; what lies beyond y is not read.
void gate_upsampled_forward(Stream&, const GateArgs&);
/// dz from z and dy; reads neither y nor saved state.
void gate_backward(Stream&, const GateArgs&);

}  // namespace telltale
