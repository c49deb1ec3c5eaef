#pragma once
// Optimisers over the flat arena, and learning-rate schedules.
#include "engine/params.h"

namespace telltale {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One step from arena.grad; reads step, lr and loss_scale from the device's StepState, and does nothing when its
  /// overflow is set.
  virtual void step(Stream&, const ParamArena&, const StepState* state) const = 0;
};

/// Adam with PyTorch's defaults (kernels/adam.h).
class Adam final : public Optimizer {
 public:
  explicit Adam(double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-8, double weight_decay = 0)
      : beta1_(beta1), beta2_(beta2), eps_(eps), weight_decay_(weight_decay) {}
  void step(Stream&, const ParamArena&, const StepState*) const override;

 private:
  double beta1_, beta2_, eps_, weight_decay_;
};

/// Learning rate of optimiser step t = 1, 2, …
struct Schedule {
  enum class Kind : uint8_t { constant, cosine };
  Kind kind = Kind::constant;
  double lr = 1e-3;
  int64_t warmup = 0;  ///< steps of linear rise from lr/warmup to lr
  int64_t total = 1;   ///< steps of the whole run: cosine falls from lr after the warm-up to 0 at `total`
  double at(int64_t step) const;
};

}  // namespace telltale
