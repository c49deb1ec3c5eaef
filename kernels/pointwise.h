#pragma once
// Element-wise ops; x, y and their gradients share shape and type.
#include "kernels/device/dispatch.h"

namespace telltale {

/// y = act(x); y may be x.
void activation_forward(Stream&, Tensor x, Tensor y, Act act);
/// dx = dy · act'(x), the gradient taken from y; dx may be dy.
void activation_backward(Stream&, Tensor y, Tensor dy, Tensor dx, Act act, GradMode mode = GradMode::overwrite);
/// y = act(a + b); y may be a or b.
void add_forward(Stream&, Tensor a, Tensor b, Tensor y, Act act = Act::none);
/// to = from, or to += from, or nothing. Types may differ (rounds).
void add_gradient(Stream&, Tensor from, Tensor to, GradMode mode);
/// y = a·(1 − m) + b·m with m {N,H,W,1} of the same type, spread over channels: composing a fill `b` into a photograph
/// `a` under a mask.
struct BlendArgs {
  Tensor a, b, m, y;
  Tensor dy, da, db;  ///< backward; da, db optional; the mask takes no gradient
  GradMode da_mode = GradMode::overwrite, db_mode = GradMode::overwrite;
};
void blend_forward(Stream&, const BlendArgs&);
void blend_backward(Stream&, const BlendArgs&);

}  // namespace telltale
