#pragma once
// What a detection loss reads and writes of each sample: all of a training step's figures, so that nothing passes over
// it again.

namespace telltale {

/// A row of what a detector says and of what it should: a logit or label, and corners as fractions of the image's
/// sides.
struct DetectorRow {
  enum : int { label, x_min, y_min, x_max, y_max, count };
};

/// Columns of a detection loss's row: the total and its two parts (losses/loss.h), whether the logit's sign says what
/// the label says (0 or 1; a logit of 0 says fake), and the boxes' IoU, 0 where the label is 0.
struct DetectionTerms {
  enum : int { total, classification, box, correct, iou, count };
};

}  // namespace telltale
