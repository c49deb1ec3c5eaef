#pragma once
// How the device sums columns of a {rows, c} matrix: a CTA takes a tile of channels and a slab of rows, its lanes fold
// in a fixed tree, and a second kernel folds the slabs. No atomics: the same bits on every run.
#include "kernels/device/launch.h"
#include "kernels/parts/chunk.h"
#include "kernels/parts/rows_ahead.h"

namespace telltale {

constexpr int kMultiprocessors = 132;  ///< of the largest GPU known

/// The cut: lanes_c lanes side by side take a chunk of channels each, the other lanes of the CTA take other rows.
struct ColumnTiles {
  static constexpr int kLanes = 256;
  int64_t rows, slab_rows, slabs;
  int c, lanes_c, tiles;

  ColumnTiles(int64_t rows, int c) : rows(rows), c(c), lanes_c(1) {
    constexpr int64_t kCtas = 8 * kMultiprocessors;
    const int chunks = (c + kChunk - 1) / kChunk;
    while (lanes_c < 8 && lanes_c < chunks) lanes_c *= 2;
    tiles = (chunks + lanes_c - 1) / lanes_c;
    const int64_t by_work = (rows + row_lanes() * 4 - 1) / (row_lanes() * 4), by_ctas = (kCtas + tiles - 1) / tiles;
    slabs = std::max<int64_t>(1, std::min(by_work, by_ctas));
    slab_rows = std::max<int64_t>(1, (rows + slabs - 1) / slabs);
    slabs = std::max<int64_t>(1, (rows + slab_rows - 1) / slab_rows);
  }
  TT_HD int row_lanes() const { return kLanes / lanes_c; }
  TT_HD int64_t grid() const { return slabs * tiles; }

  /// What lane t of a CTA works on: rows first, first + row_lanes, … below last; channels [c, c + size), size ≤ 0 when
  /// past the end.
  struct Part {
    int64_t slab, first, last;
    int c, size, row_lane;
  };
  TT_HD Part part(int64_t cta, int t) const {
    Part p;
    p.slab = divide(cta, tiles);
    p.row_lane = t / lanes_c;
    p.c = (int(cta - p.slab * tiles) * lanes_c + t % lanes_c) * kChunk;
    p.size = c - p.c < kChunk ? c - p.c : kChunk;
    p.first = p.slab * slab_rows + p.row_lane;
    p.last = (p.slab + 1) * slab_rows < rows ? (p.slab + 1) * slab_rows : rows;
    return p;
  }
};

/// First level: partial[slab][k][c] = Σ over the slab's rows of term k. Terms: `begin<kAligned>(c, size)` loads what a
/// lane's channels need, `read<kAligned>(row's, row, c, size)` a row's inputs as they lie in memory, a few rows ahead
/// of `add<kAligned>(begun, row's, row, c, size, sums)`, which adds the row's terms. kAligned: as `aligned()` says.
template <class A, int K, class Terms>
struct ColumnSums {
  struct Shared {
    A v[K][kChunk][ColumnTiles::kLanes];
  };
  ColumnTiles tiles;
  Terms terms;
  A* partial;

  template <bool kAligned>
  TT_HD void add(const ColumnTiles::Part& p, int size, Chunk<A> (&sums)[K]) const {
    const auto begun = terms.template begin<kAligned>(p.c, size);
    constexpr int kAhead = kAligned ? Terms::kAhead : 1;
    typename Terms::Row rows[kAhead];
    walk_rows<kAhead>(
        p.first, p.last, tiles.row_lanes(),
        [&](int j, int64_t row) { terms.template read<kAligned>(rows[j], row, p.c, size); },
        [&](int j, int64_t row) { terms.template add<kAligned>(begun, rows[j], row, p.c, size, sums); });
  }
  TT_HD void operator()(const Block<ColumnTiles::kLanes>& b, Shared& shared) const {
    b.each([&](int t) {
      const ColumnTiles::Part p = tiles.part(b.index, t);
      Chunk<A> sums[K];
      for (int k = 0; k < K; ++k) sums[k] = chunk_of(A(0));
      if (p.size > 0) kSumsAligned<A>&& terms.aligned() ? add<true>(p, kChunk, sums) : add<false>(p, p.size, sums);
      for (int k = 0; k < K; ++k) {
        for (int j = 0; j < kChunk; ++j) shared.v[k][j][t] = sums[k][j];
      }
    });
    for (int s = tiles.row_lanes() / 2; s > 0; s /= 2) {
      b.each([&](int t) {
        if (t >= s * tiles.lanes_c) return;
        for (int k = 0; k < K; ++k) {
          for (int j = 0; j < kChunk; ++j) shared.v[k][j][t] += shared.v[k][j][t + s * tiles.lanes_c];
        }
      });
    }
    b.each([&](int t) {
      const ColumnTiles::Part p = tiles.part(b.index, t);
      if (p.row_lane != 0) return;
      for (int k = 0; k < K; ++k) {
        for (int j = 0; j < p.size; ++j) partial[(p.slab * K + k) * tiles.c + p.c + j] = shared.v[k][j][t];
      }
    });
  }
};

/// For FoldSlabs: one sum a channel, written or added.
template <class A>
struct WriteSum {
  A* to;
  bool accumulate;
  TT_HD void operator()(int c, const A (&sum)[1]) const { to[c] = accumulate ? to[c] + sum[0] : sum[0]; }
};

/// Second level: a CTA takes kChannels channels, 32 lanes to each, a lane's slabs and then the lanes in an order that
/// does not depend on kChannels. `finish(c, sums)` gets the K totals of channel c.
template <class A, int K, class Finish, int kChannels>
struct FoldSlabs {
  static constexpr int kSlabLanes = 32, kLanes = kSlabLanes * kChannels;
  struct Shared {
    A v[K][kLanes];
  };
  int64_t slabs;
  int c;
  const A* partial;
  Finish finish;

  TT_HD int64_t grid() const { return (c + kChannels - 1) / kChannels; }
  TT_HD void operator()(const Block<kLanes>& b, Shared& shared) const {
    b.each([&](int t) {
      const int64_t channel = b.index * kChannels + t % kChannels;
      A sums[K] = {};
      if (channel < c) add(channel, t / kChannels, sums);
      for (int k = 0; k < K; ++k) shared.v[k][t] = sums[k];
    });
    for (int s = kLanes / 2; s >= kChannels; s /= 2) {
      b.each([&](int t) {
        if (t >= s) return;
        for (int k = 0; k < K; ++k) shared.v[k][t] += shared.v[k][t + s];
      });
    }
    b.each([&](int t) {
      const int64_t channel = b.index * kChannels + t;
      if (t >= kChannels || channel >= c) return;
      A sums[K];
      for (int k = 0; k < K; ++k) sums[k] = shared.v[k][t];
      finish(int(channel), sums);
    });
  }

 private:
  /// The slabs of a lane, one after the other; some are asked for at once.
  TT_HD void add(int64_t channel, int64_t lane, A (&sums)[K]) const {
    constexpr int kAhead = 8;
    A read[kAhead][K];
    walk_rows<kAhead>(
        lane, slabs, kSlabLanes,
        [&](int j, int64_t slab) {
          for (int k = 0; k < K; ++k) read[j][k] = partial[(slab * K + k) * c + channel];
        },
        [&](int j, int64_t) {
          for (int k = 0; k < K; ++k) sums[k] += read[j][k];
        });
  }
};

/// Eight channels lie on a sector of memory, of which a CTA for one channel reads an eighth: that is for what would
/// otherwise leave multiprocessors idle.
constexpr int kSectorChannels = 8;
/// How many channels a CTA of FoldSlabs takes.
constexpr int fold_channels(int c) { return c < kMultiprocessors * kSectorChannels ? 1 : kSectorChannels; }

/// Folds slabs of partial sums, {slabs, K, c}: finish(c, totals) for each channel.
template <class A, int K, class Finish>
void fold_slabs(Stream& s, int64_t slabs, int c, const A* partial, const Finish& finish) {
  const auto with = [&](auto fold) { launch<decltype(fold)::kLanes>(s, fold.grid(), fold); };
  fold_channels(c) == 1 ? with(FoldSlabs<A, K, Finish, 1>{slabs, c, partial, finish})
                        : with(FoldSlabs<A, K, Finish, kSectorChannels>{slabs, c, partial, finish});
}

}  // namespace telltale
