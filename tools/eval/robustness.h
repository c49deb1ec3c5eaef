#pragma once
// --robustness: the sweep of models/robustness over some of a dataset's pictures.
#include "base/ranks.h"
#include "data/dataset.h"
#include "models/detector/detector.h"
#include "models/locator/locator.h"
#include "models/robustness/robustness.h"

namespace telltale {

/// At most `pictures` of the rows, evenly, half of them fakes where there are enough. Shows progress and ends when
/// interrupted: Error. One of locator and detector is null.
std::vector<RobustnessPoint> measure_robustness(Locator*, Detector*, const Dataset&, const std::vector<int>& rows,
                                                int pictures, double threshold, Ranks&);
/// Prints the table; writes robustness.csv and robustness.png into the folder.
void tell_robustness(const std::string& out, const std::vector<RobustnessPoint>&);

}  // namespace telltale
