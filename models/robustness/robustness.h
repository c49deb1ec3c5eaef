#pragma once
// Whether what was measured still holds once pictures were saved again, scaled, cropped, filtered: a sweep.
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/table.h"
#include "data/image.h"
#include "data/labels.h"
#include "models/statistics.h"

namespace telltale {

/// A picture with its label, whose box lies in the picture.
struct Labelled {
  Image image;
  Label label;
};

/// One change at one strength. A function of the picture and its id alone.
struct Change {
  std::string family;    ///< such as "JPEG"
  std::string strength;  ///< as it is shown, such as "75"
  std::function<void(Labelled&)> apply;
};
/// All of the sweep, strengths of a family together, from weak to strong; the first, "none", changes nothing:
/// JPEG 95 to 50; JPEG twice; WebP; resizing by .5 to 2; cropping to 90 to 50 % of the sides; Gaussian blur; noise;
/// gamma; and, like a screenshot that was shared, resizing and then JPEG.
const std::vector<Change>& robustness_changes();

/// What was measured after one change. A fake of whose box the crop left less than half is not counted.
struct RobustnessPoint {
  std::string family, strength;
  int64_t fakes = 0, reals = 0;
  Interval f1, auc, mean_iou, false_alarms;  ///< the last: share of the reals called fake
};

/// Says what each picture is called: boxes in pixels of the picture.
using LookAtAll = std::function<std::vector<Sample>(std::span<const Labelled>)>;
/// Every change on every picture. `after_each` is called after each change; what it throws ends the sweep. Intervals
/// are bootstrap's.
std::vector<RobustnessPoint> sweep_robustness(std::span<const Labelled>, const LookAtAll&, double threshold,
                                              const std::function<void()>& after_each = {});

/// A line for each point: values with intervals; and the same with every number in a column of its own.
Table robustness_table(const std::vector<RobustnessPoint>&);
Table robustness_numbers(const std::vector<RobustnessPoint>&);
/// As the report's page draws them: a panel for each family, the unchanged pictures first.
nlohmann::ordered_json robustness_json(const std::vector<RobustnessPoint>&);
/// As a PNG by gnuplot; false where that is missing.
bool plot_robustness(const std::string& path, const std::vector<RobustnessPoint>&);

}  // namespace telltale
