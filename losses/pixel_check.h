#pragma once
// What every pixel loss checks before it runs, and how its gradient is checked.
#include "engine/loss.h"
#include "losses/gradient_check.h"

namespace telltale {

/// Throws ShapeError, naming the loss and the tensor, unless all fit make_pixel_loss's promise.
void check_pixel_tensors(const Loss&, Tensor pred, Tensor target, Tensor terms, Tensor dpred, const StepState* state);

/// How to check a loss over so many maps of one size on `s`, a stream of the host, which both outlive: ordinary and far
/// out logits; all 0; whole numbers, where errors are equal and hinges bend; labels of nothing, everything, both, and
/// in between.
GradientCheck pixel_gradient_check(Stream& s, const Loss&, Shape maps);
/// The worst by that check over small maps. At a kink any gradient between both sides' passes.
GradientPoint worst_pixel_gradient(const Loss&, uint64_t seed);
/// Loss::worst_gradient_error by it.
double worst_pixel_gradient_error(const Loss&, uint64_t seed);

}  // namespace telltale
