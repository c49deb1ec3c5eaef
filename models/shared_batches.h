#pragma once
// A pass over rows of a dataset that ranks share: batch b is looked at by rank b % ranks', what it comes to is rank
// 0's.
#include "base/deal.h"
#include "base/double_buffer.h"
#include "base/packed.h"
#include "data/loader.h"

namespace telltale {

/// Picture i of a batch.
inline Image image_in(const Batch& batch, size_t i) {
  Image image(batch.size, batch.size);
  std::copy_n(batch.pixels.begin() + long(i * image.rgb.size()), image.rgb.size(), image.rgb.begin());
  return image;
}

/// Rows in batches, in order. `look` makes of a batch, in two halves (DoubleBuffer; the second one no longer has the
/// batch where they overlap), what `take` gets, on rank 0, in the batches' order; what either throws is thrown on every
/// rank. DataError naming an unreadable image.
template <class Said, class Look, class Take, class Pack, class Unpack>
void share_batches(Ranks& ranks, const Dataset& dataset, const std::vector<int>& rows, const LoaderOptions& options,
                   bool overlap, Look look, Take take, Pack pack, Unpack unpack) {
  const auto batch = size_t(options.batch), each = size_t(ranks.size());
  std::vector<int> mine;
  for (size_t i = 0; i < rows.size(); ++i)
    if (i / batch % each == size_t(ranks.rank())) mine.push_back(rows[i]);
  std::unique_ptr<Loader> loader;
  DoubleBuffer<Said> batches(overlap, [&](size_t) {
    if (!loader) {
      loader = std::make_unique<Loader>(dataset, mine, options);
      loader->start(/*epoch=*/0, /*first_batch=*/0, /*end_epoch=*/1);
    }
    return look(*loader->next());
  });
  deal<Said>(
      ranks, {.items = (rows.size() + batch - 1) / batch, .fixed = true},
      [&](size_t item, std::span<const size_t> upcoming) { return batches(item, upcoming); },
      [&](size_t, const Said& said) { take(said); }, [&](const Said& said) { return bytes_of(pack(said)); },
      [&](const std::string& bytes) { return unpack(unpacked(bytes)); });
}

}  // namespace telltale
