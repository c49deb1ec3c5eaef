#pragma once
// What a detection loss writes of each sample: all of a training step's figures, so that nothing passes over it again.

namespace telltale {

/// Columns of a detection loss's row: the total and its two parts (losses/loss.h), whether the logit's sign says what
/// the label says (0 or 1; a logit of 0 says fake), and the boxes' IoU, 0 where the label is 0.
struct DetectionTerms {
  enum : int { total, classification, box, correct, iou, count };
};

}  // namespace telltale
