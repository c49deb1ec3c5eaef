#pragma once
// A detector over a split of a dataset: what `eval` reports on and `train` validates with.
#include <functional>

#include "data/loader.h"
#include "models/detector/detector.h"
#include "models/metrics.h"

namespace telltale {

/// The detector's word on every sample of `rows`, in that order; boxes in pixels of the dataset's images. `after_batch`
/// is called while the program still holds a batch's outputs; what it throws ends the loop. Throws DataError naming an
/// unreadable image.
std::vector<Sample> predict(Detector&, const Dataset&, const std::vector<int>& rows, int workers,
                            const std::function<void(const Batch&)>& after_batch = {});

}  // namespace telltale
