#pragma once
// The classic mistakes in published loss code, looked for one by one.
#include <string>
#include <vector>

#include "losses/gradient_check.h"
#include "losses/loss.h"

namespace telltale {

enum class Mistake : uint8_t {
  not_finite,      ///< a value or gradient is NaN or infinite somewhere, such as at an empty box
  wrong_gradient,  ///< the gradient is not the derivative of the value
  pairwise,        ///< a row meets other rows' targets: the batch was broadcast against itself
  reduction,       ///< the batch's size divides or multiplies inside, so that accumulated micro-batches differ from the
                   ///< batch
  scale,           ///< the same boxes in another unit give another value
  dead_zone,       ///< boxes that do not match, and no gradient that would bring them together
  negatives        ///< a detection loss pulls on the boxes of negatives
};
/// "pairwise broadcast", …
const char* name_of(Mistake);

/// What the search for one mistake found.
struct Finding {
  Mistake mistake;
  bool applies = true;        ///< false where the question makes no sense, such as the scale of a logit
  bool passed = true;         ///< true where it does not apply
  std::string evidence = {};  ///< the numbers and where, whether it passed or not: one line
};

/// Seven findings, in Mistake's order, about any loss, registered or not. The loss is run on `s` in f64 and (for
/// not_finite) f32; `check` says where to try it and what its gradient should be. A loss of 5 against 5 numbers is
/// taken for a detection loss.
std::vector<Finding> audit(Stream& s, const Loss& loss, const GradientCheck& check, uint64_t seed = 1);
/// About a loss over pixels, run on maps of 3 × 4: `scale` and `negatives` do not apply; a dead zone is a map called
/// wrong everywhere without a gradient.
std::vector<Finding> audit_pixels(Stream& s, const Loss& loss, uint64_t seed = 1);
/// A check for a loss of which only Loss is known: differences of its own value, one row at a time. A loss that holds
/// something constant in backward fails it.
GradientCheck black_box_check(Stream& s, const Loss& loss, Sampler sample);

/// The same about a registered loss; `negatives` about the detection loss made of it.
std::vector<Finding> audit(Stream& s, const std::string& name, const LossSettings& settings = {}, uint64_t seed = 1);

/// Throws UsageError with the worst point when the gradient of a registered loss is wrong or not finite.
void require_right_gradient(const std::string& name, const LossSettings& settings = {}, uint64_t seed = 1);

}  // namespace telltale
