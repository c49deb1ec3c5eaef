#pragma once
// Train, validation and test. A photograph's split follows from its bytes, so copies and twins never cross.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/labels.h"

namespace telltale {

/// Either exact counts or shares of 1, for train, validation and test.
struct SplitPlan {
  bool exact = false;
  std::array<double, 3> amount{.7, .15, .15};
};

/// ".7,.15,.15" when the three sum to 1 within 1e-6, else whole counts such as "25000,5000,6500"; UsageError otherwise.
SplitPlan parse_split(const std::string& text);

/// The split of each photograph, given the SHA-256 (hex) of its SOURCE file. Shares: by a seeded hash of the digest
/// alone, so adding photographs moves none. Counts: exactly so many, taken in hash order, the rest `none`; copies stay
/// together. DataError when there are too few photographs, or when copies make the counts impossible.
std::vector<Split> assign_splits(const SplitPlan& plan, uint64_t seed, const std::vector<std::string>& digests);

/// Splits by row order, as the paper's table does: the first counts[0] rows train, and so on; the rest `none`.
/// DataError when there are fewer rows.
void split_by_order(std::vector<Label>& labels, const SplitPlan& counts);

}  // namespace telltale
