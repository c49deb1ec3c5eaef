#pragma once
// A tensor's numbers on the host, as doubles, whatever its element type and place.
#include <vector>

#include "kernels/device/stream.h"

namespace telltale {

/// Every element in memory order, widened exactly. Waits for the stream.
std::vector<double> values_of(Stream&, Tensor);
/// Assigns every element, rounded to the tensor's type (nearest even; integers truncate). Throws ShapeError unless
/// there is one value each.
void set_values(Stream&, Tensor, const std::vector<double>& values);

}  // namespace telltale
