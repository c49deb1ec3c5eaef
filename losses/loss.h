#pragma once
// Losses by name. A loss is one .cu file in this folder that registers itself; nothing else lists it.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/loss.h"
#include "losses/detection_terms.h"

namespace telltale {

/// A loss's own numbers by name, such as {"smooth_l1_beta", 1}.
using LossSettings = std::map<std::string, double>;

/// A setting's default and the values it may take, both ends included.
struct SettingRange {
  double initial, low, high;
};
struct LossInfo {
  std::string name, about;   ///< about: one line, with its paper
  int pred = 0, target = 0;  ///< numbers per sample
  std::map<std::string, SettingRange> settings = {};
  bool compares_boxes() const { return pred == 4 && target == 4; }
  bool compares_labels = false;  ///< a logit against a label in [0, 1]
};

/// Every registered loss, those that compare boxes (the ones a detection loss takes) and those that compare a logit
/// with a label (which may stand beside it), in name order.
std::vector<std::string> loss_names();
std::vector<std::string> box_loss_names();
std::vector<std::string> class_loss_names();
/// Throws UsageError on an unknown name, listing the known ones.
const LossInfo& loss_info(const std::string& name);
/// All settings of a loss at their defaults.
LossSettings default_settings(const std::string& name);
/// Every loss with its paper, its settings, their defaults and ranges, as text.
std::string describe_losses();

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
  std::string class_loss = "bce";
  LossSettings class_settings = {};
};

/// The detectors' composite: pred {N,1,1,5} = logit, x_min, y_min, x_max, y_max; target {N,1,1,5} =
/// label 0 or 1, corners. terms() = DetectionTerms: total = classification + box; classification =
/// alpha·class_loss/state->samples; box = beta·box_loss/state->positives where the label is 1, else 0 with no gradient,
/// and 0 when positives is 0; correct and iou besides. One launch where class_loss is bce, else two. Throws UsageError
/// as make_loss, and when pixel lacks a size.
std::unique_ptr<Loss> make_detection_loss(const std::string& box_loss, const DetectionSettings& settings);

}  // namespace telltale
