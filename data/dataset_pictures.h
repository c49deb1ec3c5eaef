#pragma once
// A dataset's pictures and masks, decoded.
#include <vector>

#include "base/ranks.h"
#include "data/dataset.h"
#include "data/image.h"

namespace telltale {

/// A row's picture. DataError when it cannot be read, or has not the size that dataset.json says.
Image read_picture(const Dataset&, int row);
/// A fake row's mask, as above.
Grey read_mask(const Dataset&, int row);

/// Those of `rows` whose picture, and of fakes the mask where `masks` asks for it, can be read; in their order. A line
/// on each other one is added to `refused`, in their order too. `workers`: decoding threads; 0: one per core. Ranks
/// share the reading, and all return the same.
std::vector<int> readable_rows(const Dataset&, const std::vector<int>& rows, bool masks, int workers, Remarks& refused,
                               Ranks& = Ranks::none());
/// DataError with the first of readable_rows' lines, if there is one: for what would be read only after hours of work.
void check_readable(const Dataset&, const std::vector<int>& rows, bool masks, int workers, Ranks& = Ranks::none());

}  // namespace telltale
