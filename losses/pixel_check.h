#pragma once
// What every pixel loss checks before it runs, and how its gradient is checked.
#include "engine/loss.h"

namespace telltale {

/// Throws ShapeError, naming the loss and the tensor, unless all fit make_pixel_loss's promise.
void check_pixel_tensors(const Loss&, Tensor pred, Tensor target, Tensor terms, Tensor dpred, const StepState* state);

/// Loss::worst_gradient_error over small maps, in double on the host: ordinary, far out and exactly zero logits; labels
/// of nothing, everything, both, and in between.
double worst_pixel_gradient_error(const Loss&, uint64_t seed);

}  // namespace telltale
