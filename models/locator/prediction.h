#pragma once
// A locator over a split of a dataset.
#include <functional>

#include "base/ranks.h"
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

/// What else is kept of each row of the dataset: made where its image was looked at, taken in the rows' order by rank
/// 0.
struct KeepMap {
  std::function<std::string(int row, const Image&, const Sample&, const PictureMap&)> make = {};
  std::function<void(const std::string&)> take = {};
};

/// Ranks share the batches: rank 0 returns all of it, the others nothing. `after_batch` is called after each batch with
/// its number of pictures; what it throws ends the loop. Throws DataError naming an unreadable image or mask,
/// UsageError where images have an odd number of pixels a side.
Located predict(Locator&, const Dataset&, const std::vector<int>& rows, int workers,
                const std::function<void(int)>& after_batch = {}, const KeepMap& = {}, Ranks& = Ranks::none());

}  // namespace telltale
