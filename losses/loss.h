#pragma once
// Losses by name. A loss is one .cu file in this folder that registers itself; nothing else lists it.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/loss.h"

namespace telltale {

/// A loss's own numbers by name, such as {"smooth_l1_beta", 1}.
using LossSettings = std::map<std::string, double>;

/// Every registered loss, and those that compare boxes (the ones a detection loss takes), in name order.
std::vector<std::string> loss_names();
std::vector<std::string> box_loss_names();
/// All settings of a loss at their defaults. Throws UsageError on an unknown name.
LossSettings default_settings(const std::string& name);

/// The loss by itself: terms() = 1, the sum over samples, divided by nothing. Throws UsageError on an unknown name or
/// setting (listing the known ones) and on a value out of its range.
std::unique_ptr<Loss> make_loss(const std::string& name, const LossSettings& settings = {});

/// What corners are measured in where the box loss sees them; pred and target always hold them divided by width and
/// height.
enum class BoxUnit : uint8_t { normalised, pixel };
/// "normalised" or "pixel"; throws UsageError on any other.
BoxUnit box_unit_of(const std::string& name);

struct DetectionSettings {
  double alpha = 1;  ///< weight of the classification
  double beta = 1;   ///< weight of the box
  BoxUnit box_unit = BoxUnit::normalised;
  int width = 0, height = 0;  ///< of the image in pixels; only box_unit pixel needs them
  LossSettings box_settings = {};
};

/// The detectors' composite: pred {N,1,1,5} = logit, x_min, y_min, x_max, y_max; target {N,1,1,5} =
/// label 0 or 1, corners. terms() = 3: total = classification + box; classification = alpha·bce/state->samples; box =
/// beta·box_loss/state->positives where the label is 1, else 0 with no slope, and 0 when positives is 0. Throws
/// UsageError as make_loss, and when pixel lacks a size.
std::unique_ptr<Loss> make_detection_loss(const std::string& box_loss, const DetectionSettings& settings);

}  // namespace telltale
