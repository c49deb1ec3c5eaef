#pragma once
// How well maps of logits tell painted pixels from others. All plain counting over the pixels of many pictures.
#include <cstdint>
#include <vector>

namespace telltale {

/// "Positive" is painted. Ratios of nothing are 0.
struct PixelScores {
  double f1 = 0, iou = 0;  ///< at a threshold on the logit, over all pixels of all pictures
  double mean_iou = 0;     ///< the mean over painted pictures of their own IoU
  double auc = 0;          ///< Mann and Whitney's, ties counting half; NaN when either class is absent
  double average_precision =
      0;  ///< Σ (recall step)·precision over falling logits, equal ones together; NaN without positives
};

/// Collects pixels. Keeps five bytes a pixel.
class PixelTally {
 public:
  explicit PixelTally(double threshold = 0) : threshold_(threshold) {}
  /// One picture's pixels; labels from .5 on are painted.
  void add(const float* logits, const float* labels, int64_t pixels);
  PixelScores scores() const;

 private:
  double threshold_;
  std::vector<float> logits_;
  std::vector<bool> painted_;
  int64_t both_ = 0, called_ = 0, is_ = 0, pictures_ = 0;
  double iou_sum_ = 0;
};

}  // namespace telltale
