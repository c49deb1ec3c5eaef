#pragma once
// A picture's score from its map, calibrated: the probability that something was painted into it.
#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/table.h"
#include "models/locator/map.h"
#include "models/locator/reliability.h"

namespace telltale {

/// What a score rests on: a number that does not grow with the picture, and its part above 0, so that the curve may
/// bend there. Five others (how far the highest logits and the largest region stand above the rest of the map) told
/// more on painters that training knows, and less on others.
inline constexpr std::array<const char*, 2> kMapStatistics = {
    "top_1",  // picture_logit: the mean of the highest hundredth of the logits
    "lit",    // the same where it is above 0, else 0
};
using MapStatistics = std::array<double, kMapStatistics.size()>;
/// In that order. ShapeError when the map is empty.
MapStatistics map_statistics(const LogitMap&);

/// A picture whose truth is known.
struct ScoredMap {
  bool fake = false;
  MapStatistics statistics{};
  double plain = 0;  ///< picture_logit
};

/// A logistic model over a map's statistics, with thresholds. A locator's weights carry it in their metadata.
struct Calibration {
  struct Term {
    double low = 0, high = 0;     ///< the range seen: values beyond are taken as its ends
    double mean = 0, spread = 1;  ///< by which a value is standardised
    double weight = 0;
  };
  std::array<Term, kMapStatistics.size()> terms{};
  double bias = 0;
  double threshold = 0.5;   ///< fake from there on: at least .5, and at most a share of `false_alarms` of the reals
  double real_below = 0.5;  ///< real below it: at most .5, and at most a share of `misses` of the fakes
  double false_alarms = .05;
  double penalty = 0;                        ///< of squared weights, as chosen
  int64_t fakes = 0, reals = 0;              ///< fitted on
  double error_before = 0, error_after = 0;  ///< expected calibration error of `plain` and of this model
  PixelCalibration pixels;                   ///< of the map: calibrate leaves it as it is

  /// The logit of "some of it was painted".
  double logit(const MapStatistics&) const;
};
/// Fits one. The penalty is the one of a few with the least cross-validated log loss (five folds); thresholds and
/// error_after are taken from the folds' predictions, which the fitted model did not see. The same samples give the
/// same bits. Throws DataError when there are fewer than 20 fakes or 20 reals, UsageError unless both
/// shares lie between 0 and 1.
Calibration calibrate(std::span<const ScoredMap>, double false_alarms = .05, double misses = .05);

/// A line for each statistic: the range seen, and what a spread of it adds to the logit.
Table calibration_table(const Calibration&);
/// As JSON, exactly; the reverse throws DataError "its calibration …" when it is not one.
std::string to_text(const Calibration&);
Calibration calibration_of(const std::string& text);

}  // namespace telltale
