#include "models/pixel_metrics.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace telltale {
namespace {
double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }
}  // namespace

void PixelTally::add(const float* logits, const float* labels, int64_t pixels) {
  int64_t both = 0, called = 0, is = 0;
  for (int64_t i = 0; i < pixels; ++i) {
    const bool painted = labels[i] >= 0.5f, says = double(logits[i]) >= threshold_;
    both += painted && says;
    called += says;
    is += painted;
    logits_.push_back(logits[i]);
    painted_.push_back(painted);
  }
  both_ += both;
  called_ += called;
  is_ += is;
  if (is == 0) return;
  ++pictures_;
  iou_sum_ += ratio(double(both), double(called + is - both));
}

PixelScores PixelTally::scores() const {
  PixelScores s;
  s.f1 = ratio(2.0 * double(both_), double(called_ + is_));
  s.iou = ratio(double(both_), double(called_ + is_ - both_));
  s.mean_iou = ratio(iou_sum_, double(pictures_));
  const int64_t others = int64_t(logits_.size()) - is_;
  s.auc = s.average_precision = std::numeric_limits<double>::quiet_NaN();
  if (is_ == 0) return s;
  std::vector<uint32_t> order(logits_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return logits_[a] > logits_[b]; });
  double won = 0, precision = 0;
  int64_t painted = 0, seen = 0;
  for (size_t i = 0; i < order.size();) {
    const float logit = logits_[order[i]];
    int64_t tied_painted = 0, tied = 0;
    for (; i < order.size() && logits_[order[i]] == logit; ++i, ++tied) tied_painted += painted_[order[i]];
    won += double(tied - tied_painted) * (double(painted) + 0.5 * double(tied_painted));
    painted += tied_painted;
    seen += tied;
    precision += double(tied_painted) * double(painted) / double(seen);
  }
  if (others > 0) s.auc = won / (double(is_) * double(others));
  s.average_precision = precision / double(is_);
  return s;
}

}  // namespace telltale
