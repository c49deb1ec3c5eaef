#pragma once
// Several trainings that differ in a few values: --compare and --sweep as lists of them.
#include <string>
#include <vector>

#include "models/detector/settings.h"

namespace telltale {

struct StudyOptions {
  std::vector<std::string> compare;  ///< "giou", "alpha_iou:power=2": losses beside --loss
  std::vector<std::string> sweep;    ///< "beta=0.1,0.8,5": every combination of several
  std::string by = "mean_iou";       ///< what a sweep is ordered by: mean_iou, f1 or auc
  bool asked() const { return !compare.empty() || !sweep.empty(); }
};
/// Offers --compare, --sweep and --by.
void add_study_flags(CLI::App&, StudyOptions&);

/// One training of a study, in OUT/NAME.
struct Trial {
  std::string name;
  std::vector<std::pair<std::string, std::string>> varied = {};  ///< name and value of what differs
  DetectSettings settings;
};
/// The trials, checked before any of them begins. Throws UsageError on both lists at once, an unknown name, a value out
/// of range, or two trials of one name.
std::vector<Trial> trials_of(const DetectSettings&, const StudyOptions&);

}  // namespace telltale
