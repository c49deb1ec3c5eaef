#pragma once
// How a loss makes itself known, and what every loss checks before it runs.
#include "losses/gradient_check.h"
#include "losses/loss.h"

namespace telltale {

/// The tensors of Loss::eval and the part they are evaluated for.
struct Share {
  Tensor pred, target, loss, dpred;
  const StepState* state;
  Role role = Role::alone;
  double weight = 1, unit_x = 1, unit_y = 1;  ///< see EvalRow
};

/// A registered loss: one formula per sample, alone or as part of a detection loss.
class RowLoss : public Loss {
 public:
  virtual void eval_share(Stream&, const Share&) const = 0;
  /// Both shares of a detection loss in one launch, the bits of two: `bce` for the first, this loss, which compares
  /// boxes, for the second.
  virtual void eval_after_bce(Stream&, const Share& classification, const Share& box) const = 0;
  /// The first row only, in f64, on the host: the very code that eval_share runs.
  virtual void eval_first_row(const Share&) const = 0;
  /// How to check the gradient used in training, and by dual numbers the formula's own.
  virtual GradientCheck gradient_check() const = 0;
  virtual GradientCheck dual_check() const = 0;

  void eval(Stream& s, Tensor pred, Tensor target, Tensor loss, Tensor dpred, const StepState* state) const override;
  /// The worse of both checks.
  GradientPoint worst_gradient(uint64_t seed) const;
  double worst_gradient_error(uint64_t seed) const override { return worst_gradient(seed).error; }
};

struct LossEntry {
  LossInfo info;
  std::unique_ptr<RowLoss> (*make)(const std::string& name, const LossSettings& complete) = nullptr;
};

/// Registers at start-up or when a loss file is loaded; see TT_REGISTER_LOSS. A name that is taken stays as it is.
struct RegisterLoss {
  explicit RegisterLoss(LossEntry entry);
};

/// make_loss, for those who need its parts.
std::unique_ptr<RowLoss> make_row_loss(const std::string& name, const LossSettings& settings = {});

/// Throws ShapeError, naming the loss and the tensor, unless all fit the promise of Loss::eval.
void check_loss_tensors(const Loss& loss, Tensor pred, Tensor target, Tensor terms, Tensor dpred,
                        const StepState* state);

}  // namespace telltale
