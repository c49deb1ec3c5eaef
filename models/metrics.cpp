#include "models/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "base/check.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::pair<int64_t, int64_t> count_classes(std::span<const Sample> samples) {
  const int64_t fakes = std::count_if(samples.begin(), samples.end(), [](const Sample& s) { return s.fake; });
  return {fakes, int64_t(samples.size()) - fakes};
}

/// Indices by falling logit.
std::vector<size_t> ranked(std::span<const Sample> samples) {
  std::vector<size_t> order(samples.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return samples[a].logit > samples[b].logit; });
  return order;
}

}  // namespace

bool calls_fake(double logit, double threshold) { return sigmoid(logit) >= threshold; }

double Confusion::precision() const { return ratio(double(true_positives), double(true_positives + false_positives)); }
double Confusion::recall() const { return ratio(double(true_positives), double(true_positives + false_negatives)); }
double Confusion::f1() const {
  return ratio(2.0 * double(true_positives), double(2 * true_positives + false_positives + false_negatives));
}
double Confusion::accuracy() const { return ratio(double(true_positives + true_negatives), double(total())); }

Confusion confusion(std::span<const Sample> samples, double threshold) {
  Confusion c;
  for (const Sample& s : samples) {
    const bool called = calls_fake(s.logit, threshold);
    ++(s.fake ? (called ? c.true_positives : c.false_negatives) : (called ? c.false_positives : c.true_negatives));
  }
  return c;
}

std::vector<RocPoint> roc_curve(std::span<const Sample> samples) {
  const auto [fakes, reals] = count_classes(samples);
  if (fakes == 0 || reals == 0) return {};
  std::vector<RocPoint> curve = {{0, 0, std::numeric_limits<double>::infinity()}};
  const std::vector<size_t> order = ranked(samples);
  int64_t true_positives = 0, false_positives = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const Sample& s = samples[order[i]];
    ++(s.fake ? true_positives : false_positives);
    if (i + 1 < order.size() && samples[order[i + 1]].logit == s.logit) continue;
    curve.push_back({double(false_positives) / double(reals), double(true_positives) / double(fakes), s.logit});
  }
  return curve;
}

double calibration_error(std::span<const Sample> samples, int bins) {
  TT_CHECK(bins > 0, UsageError, "a calibration error needs bins, not ", bins);
  std::vector<double> excess(size_t(bins), 0.0);  // of the probabilities' sum over the fakes' number
  for (const Sample& s : samples) {
    const double p = sigmoid(s.logit);
    excess[size_t(std::min(int(p * bins), bins - 1))] += p - s.fake;
  }
  double sum = 0;
  for (const double e : excess) sum += std::abs(e);
  return samples.empty() ? 0 : sum / double(samples.size());
}

double roc_auc(std::span<const Sample> samples) {
  const auto [fakes, reals] = count_classes(samples);
  if (fakes == 0 || reals == 0) return std::numeric_limits<double>::quiet_NaN();
  const std::vector<size_t> order = ranked(samples);
  // Twice the pairs won, so that a tie's half stays a whole number.
  int64_t twice_won = 0, fakes_above = 0;
  for (size_t i = 0; i < order.size();) {
    int64_t tied_fakes = 0, tied_reals = 0;
    const double logit = samples[order[i]].logit;
    for (; i < order.size() && samples[order[i]].logit == logit; ++i)
      ++(samples[order[i]].fake ? tied_fakes : tied_reals);
    twice_won += tied_reals * (2 * fakes_above + tied_fakes);
    fakes_above += tied_fakes;
  }
  return double(twice_won) / (2.0 * double(fakes) * double(reals));
}

double Localisation::success_at(double iou) const {
  for (int i = 0; i < kSuccessLevels; ++i) {
    if (std::abs(success_level(i) - iou) < 1e-9) return success[size_t(i)];
  }
  throw UsageError(cat("success is counted at .5, .55, …, .95, not at ", iou));
}

Localisation localisation(std::span<const Sample> samples, double threshold) {
  Localisation l;
  int64_t fakes = 0, found = 0;
  for (const Sample& s : samples) {
    if (!s.fake) continue;
    ++fakes;
    if (!calls_fake(s.logit, threshold)) continue;
    ++found;
    const double overlap = iou(s.predicted, s.truth);
    l.mean_iou += overlap;
    l.mean_iou_paper += iou(s.predicted, s.truth, 1);
    for (int i = 0; i < kSuccessLevels; ++i) l.success[size_t(i)] += overlap > success_level(i);
  }
  l.mean_iou_found = ratio(l.mean_iou, double(found));
  l.mean_iou_paper = ratio(l.mean_iou_paper, double(found));
  l.mean_iou = ratio(l.mean_iou, double(fakes));
  for (double& share : l.success) {
    share = ratio(share, double(fakes));
    l.mean_success += share / kSuccessLevels;
  }
  return l;
}

Evaluation evaluate(std::span<const Sample> samples, double threshold) {
  TT_CHECK(threshold > 0 && threshold < 1, UsageError, "a threshold is a probability between 0 and 1, got ", threshold);
  TT_CHECK(!samples.empty(), DataError, "nothing to evaluate: there are no samples");
  for (const Sample& s : samples) {
    const RealBox& b = s.predicted;
    TT_CHECK(std::isfinite(s.logit) && std::isfinite(b.x_min + b.y_min + b.x_max + b.y_max), DataError,
             "a prediction is not finite: logit ", s.logit, ", box ", b.x_min, " ", b.y_min, " ", b.x_max, " ",
             b.y_max);
  }
  Evaluation e;
  e.threshold = threshold;
  std::tie(e.fakes, e.reals) = count_classes(samples);
  e.confusion = confusion(samples, threshold);
  e.auc = roc_auc(samples);
  e.localisation = localisation(samples, threshold);
  return e;
}

}  // namespace telltale
