#pragma once
// How well each painter's fakes are found.
#include <string>

#include "models/metrics.h"

namespace telltale {

/// Of one painter's fakes among all the reals.
struct PainterScores {
  std::string painter;
  int64_t fakes = 0;
  double found = 0;     ///< share of them called fake
  double auc = 0;       ///< roc_auc against the reals; NaN without any
  double mean_iou = 0;  ///< of the boxes, a fake called real counting 0
};
/// By name. `painters` has each sample's, "" where none is known; those fakes are left out. Throws as evaluate does,
/// and UsageError where the lengths differ.
std::vector<PainterScores> scores_by_painter(std::span<const Sample>, std::span<const std::string> painters,
                                             double threshold);

}  // namespace telltale
