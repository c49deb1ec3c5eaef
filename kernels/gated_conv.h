#pragma once
// The gate of a gated convolution (Yu et al. 2019, "Free-form image inpainting with gated convolution", §3.1): one
// convolution of 2C channels gives value and gate, this op fuses act(value)·sigmoid(gate).
#include "kernels/core/dispatch.h"

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
/// The gate behind a convolution that computed four pixels of y in one place of z: y {N,2H,2W,C} from z
/// {N,H+1,W+1,8C}. y[2i+a,2j+b] lies at z[i+a,j+b], in channels [2C·p, 2C·p + 2C) with p = 2a + b, value before gate.
void gate_upsampled_forward(Stream&, const GateArgs&);
/// dz from z and dy; reads neither y nor saved state.
void gate_backward(Stream&, const GateArgs&);

}  // namespace telltale
