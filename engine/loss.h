#pragma once
// What a training program asks of a loss.
#include <string>

#include "kernels/device/stream.h"

namespace telltale {

/// A loss over a batch, forward and gradient in one pass, on either device. It is a sum over samples: whoever wants a
/// mean divides inside, by the sizes of the whole effective batch in StepState, so that accumulated micro-batches give
/// exactly the large batch's gradient.
class Loss {
 public:
  virtual ~Loss() = default;
  virtual std::string name() const = 0;
  /// Numbers per sample in pred and in target.
  virtual int pred_width() const = 0;
  virtual int target_width() const = 0;
  /// Columns of `loss`: the first is the total, the others its parts.
  virtual int terms() const { return 1; }
  /// pred {N,1,1,pred_width} in compute type, target {N,1,1,target_width} and loss {N,1,1,terms} in
  /// accumulator_of(pred's type); loss[i] = sample i's share; dpred (pred's shape and type, assigned) = d(Σ total)/d
  /// pred · state->loss_scale. `state` lies on the device.
  virtual void eval(Stream&, Tensor pred, Tensor target, Tensor loss, Tensor dpred, const StepState* state) const = 0;
  /// Worst |gradient − central difference| / max(1, |gradient|) in double over samples that cover kinks and degenerate
  /// inputs (host only).
  virtual double worst_gradient_error(uint64_t seed) const = 0;
};

}  // namespace telltale
