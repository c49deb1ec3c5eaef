#include "models/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

/// Which of `bins` equal parts of [0, 1]; 1 belongs to the last.
size_t bin_of(double value, size_t bins) { return std::min(size_t(value * double(bins)), bins - 1); }

size_t checked(int bins) {
  TT_CHECK(bins >= 1, UsageError, "a histogram has at least one bin, not ", bins);
  return size_t(bins);
}

}  // namespace

std::vector<PrecisionRecallPoint> precision_recall_curve(std::span<const Sample> samples) {
  std::vector<Sample> ranked(samples.begin(), samples.end());
  std::stable_sort(ranked.begin(), ranked.end(), [](const Sample& a, const Sample& b) { return a.logit > b.logit; });
  const int64_t fakes = std::count_if(ranked.begin(), ranked.end(), [](const Sample& s) { return s.fake; });
  std::vector<PrecisionRecallPoint> curve;
  if (fakes == 0) return curve;
  int64_t found = 0;
  for (size_t i = 0; i < ranked.size(); ++i) {
    found += ranked[i].fake;
    if (i + 1 < ranked.size() && ranked[i + 1].logit == ranked[i].logit) continue;
    curve.push_back({double(found) / double(fakes), double(found) / double(i + 1), ranked[i].logit});
  }
  return curve;
}

double average_precision(std::span<const PrecisionRecallPoint> curve) {
  if (curve.empty()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0, recall = 0;
  for (const PrecisionRecallPoint& p : curve) {
    sum += (p.recall - recall) * p.precision;
    recall = p.recall;
  }
  return sum;
}

std::vector<ReliabilityBin> reliability(std::span<const Sample> samples, int bins) {
  std::vector<ReliabilityBin> all(checked(bins));
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].low = double(i) / double(bins);
    all[i].high = double(i + 1) / double(bins);
  }
  for (const Sample& s : samples) {
    const double probability = sigmoid(s.logit);
    ReliabilityBin& bin = all[bin_of(probability, all.size())];
    bin.mean_probability += probability;
    bin.share_fake += s.fake;
    ++bin.count;
  }
  for (ReliabilityBin& bin : all) {
    if (bin.count == 0) continue;
    bin.mean_probability /= double(bin.count);
    bin.share_fake /= double(bin.count);
  }
  return all;
}

std::vector<int64_t> overlap_histogram(std::span<const Sample> samples, int bins) {
  std::vector<int64_t> counts(checked(bins));
  for (const Sample& s : samples)
    if (s.fake) ++counts[bin_of(iou(s.predicted, s.truth), counts.size())];
  return counts;
}

}  // namespace telltale
