#pragma once
// What a loss over pixels writes of each row of pixels.

namespace telltale {

/// Columns of its terms (losses/pixel_loss.h). A sample's sums stand in its first row, the others' are 0: the total;
/// the share of pixels whose logit has the label's sign (a logit of 0 says painted, a label from .5 on is so); and the
/// intersection over union of what is called painted and what is, 0 where nothing is. Behind them the loss's own work.
struct PixelTerms {
  enum : int { total, correct, iou, count };
};

}  // namespace telltale
