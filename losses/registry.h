#pragma once
// How a loss makes itself known, and what every loss checks before it runs.
#include "losses/loss.h"

namespace telltale {

/// A setting's default and the values it may take, both ends included.
struct SettingRange {
  double initial, low, high;
};

struct LossEntry {
  std::map<std::string, SettingRange> settings;
  std::unique_ptr<Loss> (*make)(const std::string& name, const LossSettings& complete) = nullptr;
  /// Null where the loss does not compare boxes.
  std::unique_ptr<Loss> (*make_detection)(const std::string& name, const DetectionSettings& complete) = nullptr;
};

/// Registers at start-up; see TT_REGISTER_LOSS.
struct RegisterLoss {
  RegisterLoss(const std::string& name, LossEntry entry);
};

/// Throws ShapeError, naming the loss and the tensor, unless all fit the promise of Loss::eval.
void check_loss_tensors(const Loss& loss, Tensor pred, Tensor target, Tensor terms, Tensor dpred,
                        const StepState* state);

}  // namespace telltale
