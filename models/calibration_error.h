#pragma once
// How far probabilities are from what comes true.
#include <span>

#include "models/metrics.h"

namespace telltale {

/// The expected calibration error (Naeini 2015): samples are put into `bins` of equal width by their probability of
/// fake; the mean, by samples, of how far a bin's mean probability is from its share of fakes. 0 when there are none.
/// Throws UsageError unless bins are positive.
double calibration_error(std::span<const Sample>, int bins = 15);

}  // namespace telltale
