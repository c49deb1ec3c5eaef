#pragma once
// A locator over a split of a dataset.
#include <functional>

#include "data/loader.h"
#include "models/locator/locator.h"
#include "models/pixel_metrics.h"

namespace telltale {

/// What it said of pictures, and of their pixels.
struct Located {
  std::vector<Sample> samples;  ///< in the order of the rows: Locator::sample_of
  std::vector<ScoredMap> maps;  ///< likewise: what a calibration is fitted on
  PixelScores pixels;           ///< over all pixels of the map, at a probability of .5
};

/// `after_batch` is called after each batch; what it throws ends the loop. Throws DataError naming an unreadable image
/// or mask, UsageError where images have an odd number of pixels a side.
Located predict(Locator&, const Dataset&, const std::vector<int>& rows, int workers,
                const std::function<void(const Batch&)>& after_batch = {});

}  // namespace telltale
