#pragma once
// What a detector says of a sample, and what it should.

namespace telltale {

/// A row of numbers: a logit, or a label from 0 to 1, and corners as fractions of the image's sides.
struct DetectorRow {
  enum : int { label, x_min, y_min, x_max, y_max, count };
};

}  // namespace telltale
