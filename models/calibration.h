#pragma once
// What a detector's probabilities are worth: curves and counts over the samples of a split.
#include <span>
#include <vector>

#include "models/metrics.h"

namespace telltale {

/// A point of the precision–recall curve: calling fake whatever scores at least `logit`.
struct PrecisionRecallPoint {
  double recall, precision, logit;
};
/// One point per distinct logit, by falling logit: equal scores move together. Empty without fakes.
std::vector<PrecisionRecallPoint> precision_recall_curve(std::span<const Sample>);
/// Σ (recall step)·precision, as scikit-learn's average_precision_score; NaN without fakes.
double average_precision(std::span<const PrecisionRecallPoint>);

/// Samples whose probability lies in [low, high), in the last bin [low, high].
struct ReliabilityBin {
  double low = 0, high = 0;
  double mean_probability = 0;  ///< of its samples; 0 when there are none
  double share_fake = 0;        ///< likewise
  int64_t count = 0;
};
/// Equal widths, as many as calibration_error counts with. UsageError when there are less than one.
std::vector<ReliabilityBin> reliability(std::span<const Sample>, int bins = 15);

/// How many fakes' IoU with the truth lies in each of `bins` equal parts of [0, 1], whatever they were called.
std::vector<int64_t> overlap_histogram(std::span<const Sample>, int bins = 10);

}  // namespace telltale
