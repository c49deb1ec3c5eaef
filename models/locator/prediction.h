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
  LogitCounts counts;           ///< of all pixels of the map
  PixelScores pixels;           ///< over all pixels of the map, at a probability of .5
};

/// What a locator said of a row of the dataset, whose image this is.
using OnMap = std::function<void(int row, const Image&, const Sample&, const PictureMap&)>;

/// `on_map` is called after each picture, `after_batch` after each batch; what they throw ends the loop. Throws
/// DataError naming an unreadable image or mask, UsageError where images have an odd number of pixels a side.
Located predict(Locator&, const Dataset&, const std::vector<int>& rows, int workers,
                const std::function<void(const Batch&)>& after_batch = {}, const OnMap& on_map = {});

}  // namespace telltale
