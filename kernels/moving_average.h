#pragma once
// The exponential moving average of a net's parameters.
#include "kernels/device/dispatch.h"

namespace telltale {

/// average ← average + (1 − decay)·(x − average): same shape and type, decay in [0, 1).
void moving_average(Stream&, Tensor x, Tensor average, double decay);

}  // namespace telltale
