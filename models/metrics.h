#pragma once
// How well a detector classifies and localises. All plain counting in double; nothing is sampled or interpolated.
#include <array>
#include <span>
#include <vector>

#include "models/real_box.h"

namespace telltale {

/// One image: what it is, and what the detector said. Boxes in pixels of the dataset's images.
struct Sample {
  bool fake = false;
  double logit = 0;   ///< ranked as it is: probabilities of confident nets round to 1 and would tie
  RealBox truth;      ///< of a fake
  RealBox predicted;  ///< always there, whatever the logit
};

/// Whether a logit calls fake at a threshold on the probability: sigmoid(logit) ≥ threshold.
bool calls_fake(double logit, double threshold);

/// Counts at one threshold. "Positive" is fake. Ratios of nothing are 0, as in scikit-learn.
struct Confusion {
  int64_t true_positives = 0, false_positives = 0, false_negatives = 0, true_negatives = 0;
  int64_t total() const { return true_positives + false_positives + false_negatives + true_negatives; }
  double precision() const;
  double recall() const;
  double f1() const;
  double accuracy() const;
};
Confusion confusion(std::span<const Sample>, double threshold);

/// A point of the ROC curve: calling fake whatever scores at least `logit`.
struct RocPoint {
  double false_positive_rate, true_positive_rate, logit;
};
/// From (0,0), its logit +∞, to (1,1), one point per distinct logit: equal scores move together. Empty when either
/// class is absent.
std::vector<RocPoint> roc_curve(std::span<const Sample>);
/// The chance that a random fake outscores a random real, ties counting half (Mann and Whitney 1947): the area under
/// roc_curve, exactly. NaN when either class is absent.
double roc_auc(std::span<const Sample>);

/// The expected calibration error (Naeini 2015): samples are put into `bins` of equal width by their probability of
/// fake; the mean, by samples, of how far a bin's mean probability is from its share of fakes. 0 when there are none.
double calibration_error(std::span<const Sample>, int bins = 15);

/// Thresholds of `success`: .5, .55, …, .95.
constexpr int kSuccessLevels = 10;
constexpr double success_level(int i) { return (50 + 5 * i) / 100.0; }

/// How well boxes fit. A fake called real is a miss: it has IoU 0, but for the means over true positives. All are 0
/// when there is nothing to average.
struct Localisation {
  double mean_iou = 0;        ///< over all fakes: the headline
  double mean_iou_found = 0;  ///< over true positives only
  double mean_iou_paper = 0;  ///< over true positives, every side one pixel longer: the paper's number
  std::array<double, kSuccessLevels> success{};  ///< share of all fakes with IoU > success_level(i)
  double mean_success = 0;                       ///< of those ten
  double success_at(double iou) const;           ///< one of the ten levels
};
Localisation localisation(std::span<const Sample>, double threshold);

/// Everything at once.
struct Evaluation {
  double threshold = 0.5;
  int64_t fakes = 0, reals = 0;
  Confusion confusion;
  double auc = 0;
  Localisation localisation;
};
/// Throws UsageError unless 0 < threshold < 1, DataError when there are no samples or a number is not finite.
Evaluation evaluate(std::span<const Sample>, double threshold = 0.5);

}  // namespace telltale
