#pragma once
// What is in a weights file, for people.
#include "weights/weights_file.h"

namespace telltale {

/// Smallest, largest, mean and standard deviation (of the whole, not of a sample) of a tensor's finite values.
struct Statistics {
  int64_t values = 0, not_finite = 0;
  double min = 0, max = 0, mean = 0, std = 0;  ///< 0 where no value is finite
};
/// In double, a piece of the tensor at a time.
Statistics statistics_of(const StateTensor&);

/// Prints to stdout a line per tensor, the whole, and which net it is or why it is none.
void print_listing(const WeightsFile&);

}  // namespace telltale
