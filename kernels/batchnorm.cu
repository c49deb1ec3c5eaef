// The device's form, and the frozen one of both: statistics by channel tiles and row slabs, then one pass of chunks.
#include "kernels/batchnorm.h"
#include "kernels/core/column_tiles.h"
#include "kernels/core/math.h"
#include "kernels/core/relu_mask.h"

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
/// also shifts by its own first value: squares then cancel no more than the few rows it sees allow, whatever the first
/// row is.
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

  TT_HD void operator()(const Block<ColumnTiles::kLanes>& b, Shared& shared) const {
    b.each([&](int t) {
      const ColumnTiles::Part p = tiles.part(b.index, t);
      Chunk<A> shift = chunk_of(A(0)), sum = shift, squares = shift;
      A n = 0;
      if (p.size > 0 && p.first < p.last) {
        const Chunk<A> origin = load_chunk(x + p.c, p.size, aligned);
        shift = load_chunk(x + p.first * tiles.c + p.c, p.size, aligned);
        each_in_chunk([&](int k) { shift[k] -= origin[k]; });
        for (int64_t row = p.first; row < p.last; row += tiles.row_lanes()) {
          const Chunk<A> v = load_chunk(x + row * tiles.c + p.c, p.size, aligned);
          each_in_chunk([&](int k) {
            const A d = v[k] - origin[k] - shift[k];
            sum[k] += d;
            squares[k] += d * d;
          });
          n += 1;
        }
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

/// Second level: joins the slabs and writes everything that is one number a channel.
template <class T>
struct ChannelStats {
  using A = acc_t<T>;
  static constexpr int kLanes = 256, kChannels = 8, kSlabLanes = kLanes / kChannels;
  struct Shared {
    Moments<A> v[kLanes];
  };
  ColumnTiles tiles;
  const T* origin;  // x's first row
  const A* partial;
  A *mean, *rstd, *running_mean, *running_var, *batches;
  A momentum, eps;

  TT_HD static int64_t grid(int c) { return (c + kChannels - 1) / kChannels; }
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

/// Rows that share one load of their channels' constants.
constexpr int kRowsAtOnce = 4;

/// y = act((x − mean)·rstd·gamma + beta + residual), a chunk of channels of a few rows to an index.
template <class T>
struct Normalise {
  using A = acc_t<T>;
  RowChunks chunks;  // over groups of rows
  int64_t rows;
  const T *x, *residual;
  T* y;
  const A *mean, *rstd, *gamma, *beta;
  A eps;
  bool frozen;  // rstd then holds a variance
  bool relu, aligned;
  uint8_t* passed;

  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const Chunk<A> m = load_chunk(mean + at.c, at.size, false), g = load_chunk(gamma + at.c, at.size, false),
                   b = load_chunk(beta + at.c, at.size, false);
    Chunk<A> scale = load_chunk(rstd + at.c, at.size, false);
    if (frozen) {
      each_in_chunk([&](int k) { scale[k] = A(1) / A(sqrt(scale[k] + eps)); });
    }
    each_in_chunk([&](int k) { scale[k] *= g[k]; });
    const int64_t first = at.row * kRowsAtOnce, last = first + kRowsAtOnce < rows ? first + kRowsAtOnce : rows;
    for (int64_t row = first; row < last; ++row) {
      const int64_t o = row * chunks.c + at.c;
      Chunk<A> v = load_chunk(x + o, at.size, aligned);
      each_in_chunk([&](int k) { v[k] = (v[k] - m[k]) * scale[k] + b[k]; });
      if (residual) {
        const Chunk<A> r = load_chunk(residual + o, at.size, aligned);
        each_in_chunk([&](int k) { v[k] += r[k]; });
      }
      if (relu) {
        each_in_chunk([&](int k) { v[k] = activate(Act::relu, v[k]); });
      }
      store_chunk(y + o, v, at.size, aligned);
      if (passed) passed[row * chunks.per_row + at.c / kChunk] = bits_of<T>(v, at.size);
    }
  }
};

RowChunks row_groups(const Shape& x) { return {(x.rows() + kRowsAtOnce - 1) / kRowsAtOnce, x.c}; }

template <class T>
void normalise(Stream& s, const BatchNormArgs& a, const Tensor& mean, const Tensor& rstd, bool frozen) {
  using A = acc_t<T>;
  const bool aligned = a.x.shape.c % kChunk == 0 && all_aligned({a.x.data, a.y.data, a.residual.data});
  const Normalise<T> f{row_groups(a.x.shape),
                       a.x.shape.rows(),
                       a.x.as<T>(),
                       a.residual.as<T>(),
                       a.y.as<T>(),
                       mean.as<A>(),
                       rstd.as<A>(),
                       a.gamma.as<A>(),
                       a.beta.as<A>(),
                       A(a.eps),
                       frozen,
                       a.act == Act::relu,
                       aligned,
                       a.passed.as<uint8_t>()};
  for_each(s, f.chunks.count(), f);
}

template <class T>
void statistics(Stream& s, const BatchNormArgs& a) {
  using A = acc_t<T>;
  const ColumnTiles tiles(a.x.shape.rows(), a.x.shape.c);
  A* partial = s.workspace(size_t(tiles.slabs) * 2 * size_t(tiles.c) * sizeof(A)).template as<A>();
  const bool aligned = tiles.c % kChunk == 0 && all_aligned({a.x.data});
  launch<ColumnTiles::kLanes>(s, tiles.grid(), ChannelMoments<T>{tiles, a.x.as<T>(), aligned, partial});
  launch<ChannelStats<T>::kLanes>(
      s, ChannelStats<T>::grid(tiles.c),
      ChannelStats<T>{tiles, a.x.as<T>(), partial, a.mean.as<A>(), a.rstd.as<A>(), a.running_mean.as<A>(),
                      a.running_var.as<A>(), a.batches.as<A>(), A(a.momentum), A(a.eps)});
}

/// What backward reads of a layer, in either form.
template <class T, Mask kMask>
struct Incoming {
  using A = acc_t<T>;
  const T *x, *dy;
  const uint8_t* passed;
  const A *mean, *rstd, *gamma, *beta;
  A eps;
  int c;
  bool frozen, aligned;

  /// One number a channel.
  struct Constants {
    Chunk<A> mean, scale, beta;
  };
  TT_HD A rstd_of(int channel) const { return frozen ? A(1) / A(sqrt(rstd[channel] + eps)) : rstd[channel]; }
  TT_HD Constants constants(int channel, int size) const {
    Constants k{load_chunk(mean + channel, size, false), load_chunk(gamma + channel, size, false), chunk_of(A(0))};
    each_in_chunk([&](int i) { k.scale[i] *= i < size ? rstd_of(channel + i) : A(0); });
    if constexpr (kMask == Mask::recomputed) k.beta = load_chunk(beta + channel, size, false);
    return k;
  }
  /// dy where relu let y through. x is read only where the mask is computed anew, as forward computed y.
  TT_HD Chunk<A> masked(int64_t row, int channel, int size, const Constants& k, const Chunk<A>& x) const {
    Chunk<A> g = load_chunk(dy + row * c + channel, size, aligned);
    if constexpr (kMask == Mask::recomputed) {
      each_in_chunk([&](int i) { g[i] = passes<T>((x[i] - k.mean[i]) * k.scale[i] + k.beta[i]) ? g[i] : A(0); });
    } else if constexpr (kMask == Mask::packed) {
      const unsigned bits = passed[row * mask_bytes(c) + channel / kChunk];
      each_in_chunk([&](int i) { g[i] = bits & 1u << i ? g[i] : A(0); });
    }
    return g;
  }
};

/// Σ g and Σ g·(x − mean).
template <class T, Mask kMask>
struct GradientTerms {
  using A = acc_t<T>;
  Incoming<T, kMask> in;
  TT_HD typename Incoming<T, kMask>::Constants begin(int c, int size) const { return in.constants(c, size); }
  TT_HD void add(const typename Incoming<T, kMask>::Constants& of, int64_t row, int c, int size,
                 Chunk<A> (&sums)[2]) const {
    const Chunk<A> x = load_chunk(in.x + row * in.c + c, size, in.aligned), g = in.masked(row, c, size, of, x);
    each_in_chunk([&](int k) {
      sums[0][k] += g[k];
      sums[1][k] += g[k] * (x[k] - of.mean[k]);
    });
  }
};

/// dγ, dβ, and the two per-channel constants of dx.
template <class T, Mask kMask>
struct WriteChannelGradients {
  using A = acc_t<T>;
  Incoming<T, kMask> in;
  A *dgamma, *dbeta, *constant, *linear;
  A rows;
  bool accumulate;
  TT_HD void operator()(int c, const A (&sum)[2]) const {
    const A rstd = in.rstd_of(c), slope = in.gamma[c] * rstd;
    constant[c] = slope * sum[0] / rows;
    linear[c] = slope * rstd * rstd * sum[1] / rows;
    const A dg = sum[1] * rstd;
    if (dgamma) dgamma[c] = accumulate ? dgamma[c] + dg : dg;
    if (dbeta) dbeta[c] = accumulate ? dbeta[c] + sum[0] : sum[0];
  }
};

/// dx = γ·rstd·(g − mean(g) − x̂·mean(g·x̂)) and dresidual = g, a chunk of channels of a few rows to an index.
template <class T, Mask kMask>
struct InputGradient {
  using A = acc_t<T>;
  Incoming<T, kMask> in;
  RowChunks chunks;  // over groups of rows
  int64_t rows;
  const A *constant, *linear;
  T *dx, *dresidual;
  bool dx_accumulate, dresidual_accumulate;
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const typename Incoming<T, kMask>::Constants of = in.constants(at.c, at.size);
    Chunk<A> c0 = chunk_of(A(0)), c1 = c0, x = c0;
    const bool through_statistics = !in.frozen && dx;
    if (through_statistics) {
      c0 = load_chunk(constant + at.c, at.size, false);
      c1 = load_chunk(linear + at.c, at.size, false);
    }
    const int64_t first = at.row * kRowsAtOnce, last = first + kRowsAtOnce < rows ? first + kRowsAtOnce : rows;
    for (int64_t row = first; row < last; ++row) {
      const int64_t o = row * chunks.c + at.c;
      if (through_statistics || kMask == Mask::recomputed) x = load_chunk(in.x + o, at.size, in.aligned);
      Chunk<A> g = in.masked(row, at.c, at.size, of, x);
      if (dresidual) store_gradient(dresidual + o, g, at.size, in.aligned, dresidual_accumulate);
      if (!dx) continue;
      each_in_chunk([&](int k) { g[k] *= of.scale[k]; });
      if (through_statistics) {
        each_in_chunk([&](int k) { g[k] -= c0[k] + c1[k] * (x[k] - of.mean[k]); });
      }
      store_gradient(dx + o, g, at.size, in.aligned, dx_accumulate);
    }
  }
};

template <class T, Mask kMask>
void backward(Stream& s, const BatchNormGradArgs& a) {
  using A = acc_t<T>;
  const bool frozen = !a.mean;
  const bool wants_dx = a.dx && a.dx_mode != GradMode::ignore;
  const bool wants_dresidual = a.dresidual && a.dresidual_mode != GradMode::ignore;
  const bool wants_dw = (a.dgamma || a.dbeta) && a.dw_mode != GradMode::ignore;
  const Shape shape = a.dy.shape;
  const ColumnTiles tiles(shape.rows(), shape.c);
  const size_t c = size_t(shape.c);
  A* partial = s.workspace((size_t(tiles.slabs) * 2 + 2) * c * sizeof(A)).template as<A>();
  A *constant = partial + size_t(tiles.slabs) * 2 * c, *linear = constant + c;
  const bool aligned = shape.c % kChunk == 0 && all_aligned({a.x.data, a.dy.data, a.dx.data, a.dresidual.data});
  const Incoming<T, kMask> in{a.x.as<T>(),
                              a.dy.as<T>(),
                              a.passed.as<uint8_t>(),
                              (frozen ? a.running_mean : a.mean).template as<A>(),
                              (frozen ? a.running_var : a.rstd).template as<A>(),
                              a.gamma.as<A>(),
                              a.beta.as<A>(),
                              A(a.eps),
                              shape.c,
                              frozen,
                              aligned};
  if (wants_dw || (wants_dx && !frozen)) {
    launch<ColumnTiles::kLanes>(s, tiles.grid(), ColumnSums<A, 2, GradientTerms<T, kMask>>{tiles, {in}, partial});
    using Fold = FoldSlabs<A, 2, WriteChannelGradients<T, kMask>>;
    launch<Fold::kLanes>(s, Fold::grid(shape.c),
                         Fold{tiles.slabs,
                              shape.c,
                              partial,
                              {in, wants_dw ? a.dgamma.as<A>() : nullptr, wants_dw ? a.dbeta.as<A>() : nullptr,
                               constant, linear, A(tiles.rows), a.dw_mode == GradMode::accumulate}});
  }
  if (!wants_dx && !wants_dresidual) return;
  const InputGradient<T, kMask> f{in,
                                  row_groups(shape),
                                  tiles.rows,
                                  constant,
                                  linear,
                                  wants_dx ? a.dx.as<T>() : nullptr,
                                  wants_dresidual ? a.dresidual.as<T>() : nullptr,
                                  a.dx_mode == GradMode::accumulate,
                                  a.dresidual_mode == GradMode::accumulate};
  for_each(s, f.chunks.count(), f);
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
  visit_float(a.x.dtype, [&](auto tag) { normalise<typename decltype(tag)::type>(s, a, a.mean, a.rstd, false); });
}
void batchnorm_backward(Stream& s, const BatchNormGradArgs& a) {
  check_batchnorm(a);
  visit_float(a.dy.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (a.act != Act::relu) return backward<T, Mask::none>(s, a);
    a.passed ? backward<T, Mask::packed>(s, a) : backward<T, Mask::recomputed>(s, a);
  });
}
}  // namespace cuda

void batchnorm_frozen(Stream& s, const BatchNormArgs& a) {
  check_batchnorm(a);
  visit_float(a.x.dtype,
              [&](auto tag) { normalise<typename decltype(tag)::type>(s, a, a.running_mean, a.running_var, true); });
}

}  // namespace telltale
