#pragma once
// Dropout (Srivastava et al. 2014), scaled by 1/(1−p) in training.
#include "kernels/device/dispatch.h"

namespace telltale {

struct DropoutArgs {
  Tensor x, y;                       ///< same shape and type; y may be x. Backward: pass dy as x and dx as y
  float p = 0.5f;                    ///< probability of dropping, in [0, 1)
  uint32_t node = 0;                 ///< which dropout layer of the net
  const StepState* state = nullptr;  ///< on the stream's device: seed, step and micro_batch key the draw
  GradMode mode = GradMode::overwrite;
};
/// Element i is kept when Philox(seed; i/4, node, step, micro_batch)[i%4] ≥ p: the same units on every device. Backward
/// is the same op on dy. Key: seed below node, 32 bits each; counter: i/4 below (micro_batch below step's low 32 bits).
void dropout(Stream&, const DropoutArgs&);

}  // namespace telltale
