#pragma once
// How the host sums columns of a {rows, c} matrix: in blocks of rows that stay in the second-level cache and do not
// depend on the number of threads, so a sum has the same bits on any machine size.
#include <algorithm>
#include <cstdint>

namespace telltale {

/// A matrix cut in blocks of rows, each walked in groups of `fold` rows laid side by side: with few channels the inner
/// loop would otherwise be too short for vector registers.
struct RowBlocks {
  int64_t rows;
  int c, fold;
  int64_t block_rows, count;

  RowBlocks(int64_t rows, int c, size_t element_bytes) : rows(rows), c(c) {
    constexpr int kShortest = 256;         // inner loop, elements
    constexpr int64_t kBytes = 128 << 10;  // a block's share of the cache
    constexpr int64_t kFewest = 16;        // rows: keeps partial sums small beside the data
    fold = c >= kShortest ? 1 : (kShortest + c - 1) / c;
    block_rows = std::max(kFewest, kBytes / int64_t(c * element_bytes));
    block_rows = (block_rows + fold - 1) / fold * fold;
    count = (rows + block_rows - 1) / block_rows;
  }
  /// Elements of one group of rows.
  int64_t width() const { return int64_t(c) * fold; }
  int64_t rows_in(int64_t block) const { return std::min(block_rows, rows - block * block_rows); }
  /// Too little work to wake the other threads.
  bool small() const { return rows * c < 32768; }

  /// Calls f(offset, length) for each group of rows of a block: `length` elements from `offset` on, the first of them
  /// of channel 0.
  template <class F>
  void groups(int64_t block, F f) const {
    const int64_t first = block * block_rows * c, last = first + rows_in(block) * c, w = width();
    for (int64_t o = first; o < last; o += w) f(o, std::min(w, last - o));
  }
  /// Adds the groups' rows of a sum together: the first c elements then hold the sums of the channels.
  template <class A>
  void fold_rows(A* sum) const {
    for (int j = 1; j < fold; ++j) {
      for (int i = 0; i < c; ++i) sum[i] += sum[int64_t(j) * c + i];
    }
  }
  /// Repeats the first c elements for every row of a group.
  template <class A>
  void spread(A* v) const {
    for (int64_t i = c; i < width(); ++i) v[i] = v[i - c];
  }
};

}  // namespace telltale
