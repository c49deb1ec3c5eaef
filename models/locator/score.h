#pragma once
// A picture's score from its map, calibrated: the probability that something was painted into it.
#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/table.h"
#include "models/locator/map.h"

namespace telltale {

/// What a score rests on. None grows with the picture: shares and means, so that one model serves every size.
inline constexpr std::array<const char*, 9> kMapStatistics = {
    "top_0.1",          // mean of the highest thousandth of the logits
    "top_1",            // of the highest hundredth
    "top_5",            //
    "top_20",           //
    "mean",             //
    "area",             // log10(10⁻⁴ + share of the logits ≥ 0)
    "region_area",      // the same of the largest region of logits ≥ 0
    "region_logit",     // its mean; without a region, top_0.1
    "region_contrast",  // that less the mean of the rest
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
  double threshold = 0.5;   ///< probability from which a picture is called fake: at most `false_alarms` of the reals
  double real_below = 0.5;  ///< at most threshold; below it a picture is called real: at most so many of the fakes
  double false_alarms = .05;
  double penalty = 0;                        ///< of squared weights, as chosen
  int64_t fakes = 0, reals = 0;              ///< fitted on
  double error_before = 0, error_after = 0;  ///< expected calibration error of `plain` and of this model

  /// The logit of "some of it was painted".
  double logit(const MapStatistics&) const;
};
/// Fits one. The penalty is the one of a few with the least cross-validated log loss (five folds); thresholds and
/// error_after are taken from the folds' predictions, which the fitted model did not see. The same samples give the
/// same bits. Throws DataError when there are fewer than 20 fakes or 20 reals, UsageError unless 0 < false_alarms < 1.
Calibration calibrate(std::span<const ScoredMap>, double false_alarms = .05);

/// A line for each statistic: the range seen, and what a spread of it adds to the logit.
Table calibration_table(const Calibration&);
/// As JSON, exactly; the reverse throws DataError "its calibration …" when it is not one.
std::string to_text(const Calibration&);
Calibration calibration_of(const std::string& text);

}  // namespace telltale
