#pragma once
// A detector over a split of a dataset: what `eval` and studies report on.
#include <functional>

#include "base/ranks.h"
#include "data/loader.h"
#include "models/detector/detector.h"
#include "models/metrics.h"

namespace telltale {

/// What a verdict on a row of the dataset comes to; boxes in pixels of the dataset's images.
Sample sample_of(const Dataset&, int row, const Verdict&);

/// What else is kept of each row of the dataset: made where its image was looked at, taken in the rows' order by rank
/// 0.
struct Keep {
  std::function<std::string(int row, const Image&, const Sample&)> make = {};
  std::function<void(const std::string&)> take = {};
};

/// The detector's word on every sample of `rows`, in that order; boxes in pixels of the dataset's images. Ranks share
/// the batches: rank 0 returns all of it, the others nothing. `after_batch` is called after each batch with its number
/// of samples; what it throws ends the loop. Throws DataError naming an unreadable image.
std::vector<Sample> predict(Detector&, const Dataset&, const std::vector<int>& rows, int workers,
                            const std::function<void(int)>& after_batch = {}, const Keep& = {}, Ranks& = Ranks::none());

}  // namespace telltale
