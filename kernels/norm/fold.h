#pragma once
// A constant batch norm behind a convolution is a convolution again: gamma·(w*x + b − mean)/√(var + eps) + beta.
#include "kernels/device/dispatch.h"

namespace telltale {

struct FoldNormArgs {
  Tensor w;                       ///< {K,R,S,C}, f32 or f64
  Tensor bias{};                  ///< optional {1,1,1,K}, w's type
  Tensor gamma, beta, mean, var;  ///< {1,1,1,K}, w's type
  float eps = 1e-5f;
  Tensor to_w;     ///< w's shape, any floating-point type whose accumulator is w's; assigned
  Tensor to_bias;  ///< {1,1,1,K}, w's type; assigned
};
/// Enqueues only; computed in double and rounded once. Throws ShapeError where shapes or types disagree.
void fold_norm(Stream&, const FoldNormArgs&);

}  // namespace telltale
