// The device's form, and the frozen one of both: statistics by channel tiles and row slabs, then one pass of chunks.
#include "kernels/norm/batchnorm.h"
#include "kernels/parts/column_tiles.h"
#include "kernels/parts/math.h"
#include "kernels/parts/relu_mask.h"
#include "kernels/parts/rows_ahead.h"

namespace telltale {
namespace {

/// Mean and summed squared deviation of `n` values, and how two such join (Chan et al. 1979).
template <class A>
struct Moments {
  A n, mean, squares;
  TT_HD static Moments joined(const Moments& a, const Moments& b) {
    const A n = a.n + b.n;
    if (n == 0) return a;
    const A d = b.mean - a.mean, share = b.n / n;
    return {n, a.mean + d * share, a.squares + b.squares + d * d * a.n * share};
  }
};

/// First level: moments of a slab's rows, less the tensor's first row, so that a large mean costs no digits. A lane
/// sums differences to its own first value: squares then cancel no more than the few rows it sees allow, whatever the
/// first row is.
template <class T>
struct ChannelMoments {
  using A = acc_t<T>;
  struct Shared {
    A n[ColumnTiles::kLanes], mean[kChunk][ColumnTiles::kLanes], squares[kChunk][ColumnTiles::kLanes];
    TT_HD Moments<A> at(int k, int t) const { return {n[t], mean[k][t], squares[k][t]}; }
  };
  ColumnTiles tiles;
  const T* x;
  bool aligned;
  A* partial;  // [slab][mean, squares][c]

  template <bool kAligned>
  TT_HD void add(const ColumnTiles::Part& p, int size, A& n, Chunk<A>& shift, Chunk<A>& sum, Chunk<A>& squares) const {
    const Chunk<A> own = load_chunk(x + p.first * tiles.c + p.c, size, kAligned);
    constexpr int kAhead = kRowsAhead<T, 64, kAligned>;
    RawChunk<T> of_x[kAhead];
    walk_rows<kAhead>(
        p.first, p.last, tiles.row_lanes(),
        [&](int j, int64_t row) { of_x[j] = load_raw<kAligned>(x + row * tiles.c + p.c, size); },
        [&](int j, int64_t) {
          const Chunk<A> v = of_x[j].numbers();
          each_in_chunk([&](int k) {
            const A d = v[k] - own[k];
            sum[k] += d;
            squares[k] += d * d;
          });
          n += 1;
        });
    const Chunk<A> origin = load_chunk(x + p.c, size, kAligned);
    each_in_chunk([&](int k) { shift[k] = own[k] - origin[k]; });
  }
  TT_HD void operator()(const Block<ColumnTiles::kLanes>& b, Shared& shared) const {
    b.each([&](int t) {
      const ColumnTiles::Part p = tiles.part(b.index, t);
      Chunk<A> shift = chunk_of(A(0)), sum = shift, squares = shift;
      A n = 0;
      if (p.size > 0 && p.first < p.last) {
        kSumsAligned<T>&& aligned ? add<true>(p, kChunk, n, shift, sum, squares)
                                  : add<false>(p, p.size, n, shift, sum, squares);
      }
      shared.n[t] = n;
      const A share = n > 0 ? 1 / n : A(0);
      each_in_chunk([&](int k) {
        const A d = sum[k] * share, m2 = squares[k] - d * sum[k];
        shared.mean[k][t] = shift[k] + d;
        shared.squares[k][t] = m2 < 0 ? A(0) : m2;
      });
    });
    for (int s = tiles.row_lanes() / 2; s > 0; s /= 2) {
      const int other = s * tiles.lanes_c;
      b.each([&](int t) {
        if (t >= other) return;
        for (int k = 0; k < kChunk; ++k) {
          const Moments<A> m = Moments<A>::joined(shared.at(k, t), shared.at(k, t + other));
          shared.mean[k][t] = m.mean;
          shared.squares[k][t] = m.squares;
        }
        shared.n[t] += shared.n[t + other];
      });
    }
    b.each([&](int t) {
      const ColumnTiles::Part p = tiles.part(b.index, t);
      if (p.row_lane != 0) return;
      A* to = partial + p.slab * 2 * tiles.c + p.c;
      for (int k = 0; k < p.size; ++k) {
        to[k] = shared.mean[k][t];
        to[tiles.c + k] = shared.squares[k][t];
      }
    });
  }
};

/// Second level: joins the slabs and writes everything that is one number a channel; as FoldSlabs does.
template <class T, int kChannels>
struct ChannelStats {
  using A = acc_t<T>;
  static constexpr int kSlabLanes = 32, kLanes = kSlabLanes * kChannels;
  struct Shared {
    Moments<A> v[kLanes];
  };
  ColumnTiles tiles;
  const T* origin;  // x's first row
  const A* partial;
  A *mean, *rstd, *running_mean, *running_var, *batches;
  A momentum, eps;

  TT_HD int64_t grid() const { return (tiles.c + kChannels - 1) / kChannels; }
  TT_HD void operator()(const Block<kLanes>& b, Shared& shared) const {
    b.each([&](int t) {
      const int64_t channel = b.index * kChannels + t % kChannels;
      Moments<A> m{0, 0, 0};
      if (channel < tiles.c) {
        for (int64_t i = t / kChannels; i < tiles.slabs; i += kSlabLanes) {
          const int64_t left = tiles.rows - i * tiles.slab_rows;
          const A* p = partial + i * 2 * tiles.c + channel;
          m = Moments<A>::joined(m, {A(left < tiles.slab_rows ? left : tiles.slab_rows), p[0], p[tiles.c]});
        }
      }
      shared.v[t] = m;
    });
    for (int s = kLanes / 2; s >= kChannels; s /= 2) {
      b.each([&](int t) {
        if (t < s) shared.v[t] = Moments<A>::joined(shared.v[t], shared.v[t + s]);
      });
    }
    b.each([&](int t) {
      const int64_t c = b.index * kChannels + t;
      if (t >= kChannels || c >= tiles.c) return;
      const Moments<A> m = shared.v[t];
      const A rows = A(tiles.rows);
      const A average = load(origin[c]) + m.mean;
      mean[c] = average;
      rstd[c] = A(1) / A(sqrt(m.squares / rows + eps));
      running_mean[c] = (A(1) - momentum) * running_mean[c] + momentum * average;
      if (tiles.rows > 1) running_var[c] = (A(1) - momentum) * running_var[c] + momentum * (m.squares / (rows - A(1)));
      if (batches && c == 0) *batches += A(1);
    });
  }
};

/// y = act((x − mean)·rstd·gamma + beta + residual), a chunk of channels of a few rows to an index.
template <class T, bool kResidual>
struct Normalise {
  using A = acc_t<T>;
  RowGroups groups;
  const T *x, *residual;
  T* y;
  const A *mean, *rstd, *gamma, *beta;
  A eps;
  bool frozen;  // rstd then holds a variance
  bool relu, aligned;
  uint8_t* passed;

  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = groups.chunks.at(i);
    aligned ? apply<true>(at, kChunk) : apply<false>(at, at.size);
  }
  template <bool kAligned>
  TT_HD void apply(const RowChunks::At& at, int size) const {
    const Chunk<A> m = load_chunk(mean + at.c, size, kAligned), g = load_chunk(gamma + at.c, size, kAligned),
                   b = load_chunk(beta + at.c, size, kAligned);
    Chunk<A> scale = load_chunk(rstd + at.c, size, kAligned);
    if (frozen) {
      each_in_chunk([&](int k) { scale[k] = A(1) / A(sqrt(scale[k] + eps)); });
    }
    each_in_chunk([&](int k) { scale[k] *= g[k]; });
    const int c = groups.chunks.c;
    constexpr int kAhead = kRowsAhead<T, 64, kAligned>;
    RawChunk<T> of_x[kAhead], of_residual[kAhead];
    walk_rows<kAhead>(
        groups.first(at), groups.last(at), 1,
        [&](int j, int64_t row) {
          of_x[j] = load_raw<kAligned>(x + row * c + at.c, size);
          if constexpr (kResidual) of_residual[j] = load_raw<kAligned>(residual + row * c + at.c, size);
        },
        [&](int j, int64_t row) {
          Chunk<A> v = of_x[j].numbers();
          each_in_chunk([&](int k) { v[k] = (v[k] - m[k]) * scale[k] + b[k]; });
          if constexpr (kResidual) {
            const Chunk<A> r = of_residual[j].numbers();
            each_in_chunk([&](int k) { v[k] += r[k]; });
          }
          if (relu) {
            each_in_chunk([&](int k) { v[k] = activate(Act::relu, v[k]); });
          }
          store_chunk(y + row * c + at.c, v, size, kAligned);
          if (passed) passed[row * groups.chunks.per_row + at.c / kChunk] = bits_of<T>(v, size);
        });
  }
};

template <class T, bool kResidual>
void normalise(Stream& s, const BatchNormArgs& a, const Tensor& mean, const Tensor& rstd, bool frozen) {
  using A = acc_t<T>;
  const bool aligned = a.x.shape.c % kChunk == 0 && all_aligned({a.x.data, a.y.data, a.residual.data, mean.data,
                                                                 rstd.data, a.gamma.data, a.beta.data});
  const Normalise<T, kResidual> f{.groups = RowGroups(a.x.shape.rows(), a.x.shape.c),
                                  .x = a.x.as<T>(),
                                  .residual = a.residual.as<T>(),
                                  .y = a.y.as<T>(),
                                  .mean = mean.as<A>(),
                                  .rstd = rstd.as<A>(),
                                  .gamma = a.gamma.as<A>(),
                                  .beta = a.beta.as<A>(),
                                  .eps = A(a.eps),
                                  .frozen = frozen,
                                  .relu = a.act == Act::relu,
                                  .aligned = aligned,
                                  .passed = a.passed.as<uint8_t>()};
  for_each(s, f.groups.chunks.count(), f);
}

/// The same for either type and with or without a residual.
void normalise(Stream& s, const BatchNormArgs& a, const Tensor& mean, const Tensor& rstd, bool frozen) {
  visit_float(a.x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    a.residual ? normalise<T, true>(s, a, mean, rstd, frozen) : normalise<T, false>(s, a, mean, rstd, frozen);
  });
}

template <class T>
void statistics(Stream& s, const BatchNormArgs& a) {
  using A = acc_t<T>;
  const ColumnTiles tiles(a.x.shape.rows(), a.x.shape.c);
  A* partial = s.workspace(size_t(tiles.slabs) * 2 * size_t(tiles.c) * sizeof(A)).template as<A>();
  const bool aligned = tiles.c % kChunk == 0 && all_aligned({a.x.data});
  launch<ColumnTiles::kLanes>(s, tiles.grid(), ChannelMoments<T>{tiles, a.x.as<T>(), aligned, partial});
  const auto join = [&]<int kChannels>() {
    const ChannelStats<T, kChannels> stats{.tiles = tiles,
                                           .origin = a.x.as<T>(),
                                           .partial = partial,
                                           .mean = a.mean.as<A>(),
                                           .rstd = a.rstd.as<A>(),
                                           .running_mean = a.running_mean.as<A>(),
                                           .running_var = a.running_var.as<A>(),
                                           .batches = a.batches.as<A>(),
                                           .momentum = A(a.momentum),
                                           .eps = A(a.eps)};
    launch<stats.kLanes>(s, stats.grid(), stats);
  };
  fold_channels(tiles.c) == 1 ? join.template operator()<1>() : join.template operator()<kSectorChannels>();
}

}  // namespace

namespace cuda {
void batchnorm_forward(Stream& s, const BatchNormArgs& a) {
  cuda::batchnorm_statistics(s, a);
  cuda::batchnorm_apply(s, a);
}
void batchnorm_statistics(Stream& s, const BatchNormArgs& a) {
  check_trained(a);
  visit_float(a.x.dtype, [&](auto tag) { statistics<typename decltype(tag)::type>(s, a); });
}
void batchnorm_apply(Stream& s, const BatchNormArgs& a) {
  check_trained(a);
  normalise(s, a, a.mean, a.rstd, false);
}
}  // namespace cuda

void batchnorm_frozen(Stream& s, const BatchNormArgs& a) {
  check_batchnorm(a);
  normalise(s, a, a.running_mean, a.running_var, true);
}

}  // namespace telltale
