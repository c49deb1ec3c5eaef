#pragma once
// A detector over a split of a dataset: what `eval` and studies report on.
#include <functional>

#include "data/loader.h"
#include "models/detector/detector.h"
#include "models/metrics.h"

namespace telltale {

/// What a verdict on a row of the dataset comes to; boxes in pixels of the dataset's images.
Sample sample_of(const Dataset&, int row, const Verdict&);

/// What a detector said of a row of the dataset, whose image this is.
using OnSample = std::function<void(int row, const Image&, const Sample&)>;

/// The detector's word on every sample of `rows`, in that order; boxes in pixels of the dataset's images. `on_sample`
/// is called after each sample, `after_batch` after each batch; what they throw ends the loop. Throws DataError naming
/// an unreadable image.
std::vector<Sample> predict(Detector&, const Dataset&, const std::vector<int>& rows, int workers,
                            const std::function<void(const Batch&)>& after_batch = {}, const OnSample& on_sample = {});

}  // namespace telltale
