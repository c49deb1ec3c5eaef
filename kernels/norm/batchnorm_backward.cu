// The device's backward: sums by channel tiles and row slabs, then one pass of chunks.
#include "kernels/norm/batchnorm.h"
#include "kernels/parts/column_tiles.h"
#include "kernels/parts/math.h"
#include "kernels/parts/relu_mask.h"

namespace telltale::cuda {
namespace {

/// What backward reads of a layer, in either form.
template <class T, Mask kMask>
struct Incoming {
  using A = acc_t<T>;
  const T *x, *dy;
  const uint8_t* passed;
  const A *mean, *rstd, *gamma, *beta;
  A eps;
  int c;
  bool frozen, aligned;  // aligned: of constants, too

  /// One number a channel.
  struct Constants {
    Chunk<A> mean, scale, beta;
  };
  TT_HD A rstd_of(int channel) const { return frozen ? A(1) / A(sqrt(rstd[channel] + eps)) : rstd[channel]; }
  template <bool kAligned>
  TT_HD Constants constants(int channel, int size) const {
    Constants k{load_chunk(mean + channel, size, kAligned), load_chunk(rstd + channel, size, kAligned), chunk_of(A(0))};
    if (frozen) {
      each_in_chunk([&](int i) { k.scale[i] = A(1) / A(sqrt(k.scale[i] + eps)); });
    }
    const Chunk<A> g = load_chunk(gamma + channel, size, kAligned);
    each_in_chunk([&](int i) { k.scale[i] *= g[i]; });
    if constexpr (kMask == Mask::recomputed) k.beta = load_chunk(beta + channel, size, kAligned);
    return k;
  }
  /// A row's inputs as they lie in memory.
  struct Row {
    RawChunk<T> x, dy;
    uint8_t passed;
  };
  template <bool kAligned>
  TT_HD void read(Row& to, int64_t row, int channel, int size, bool wants_x) const {
    const int64_t o = row * c + channel;
    if (wants_x) to.x = load_raw<kAligned>(x + o, size);
    to.dy = load_raw<kAligned>(dy + o, size);
    if constexpr (kMask == Mask::packed) to.passed = passed[row * mask_bytes(c) + channel / kChunk];
  }
  /// dy where relu let y through. x is used only where the mask is computed anew, as forward computed y.
  TT_HD Chunk<A> masked(const Row& of, const Constants& k, const Chunk<A>& x) const {
    Chunk<A> g = of.dy.numbers();
    if constexpr (kMask == Mask::recomputed) {
      each_in_chunk([&](int i) { g[i] = passes<T>((x[i] - k.mean[i]) * k.scale[i] + k.beta[i]) ? g[i] : A(0); });
    } else if constexpr (kMask == Mask::packed) {
      const unsigned bits = of.passed;
      each_in_chunk([&](int i) { g[i] = bits & 1u << i ? g[i] : A(0); });
    }
    return g;
  }
};

/// Σ g and Σ g·(x − mean).
template <class T, Mask kMask>
struct GradientTerms {
  using A = acc_t<T>;
  using In = Incoming<T, kMask>;
  using Row = typename In::Row;
  static constexpr int kAhead = kRowsAhead<T, 32>;
  In in;
  TT_HD bool aligned() const { return in.aligned; }
  template <bool kAligned>
  TT_HD typename In::Constants begin(int c, int size) const {
    return in.template constants<kAligned>(c, size);
  }
  template <bool kAligned>
  TT_HD void read(Row& to, int64_t row, int c, int size) const {
    in.template read<kAligned>(to, row, c, size, true);
  }
  template <bool kAligned>
  TT_HD void add(const typename In::Constants& of, const Row& from, int64_t, int, int, Chunk<A> (&sums)[2]) const {
    const Chunk<A> x = from.x.numbers(), g = in.masked(from, of, x);
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
    const A rstd = in.rstd_of(c), gradient = in.gamma[c] * rstd;
    constant[c] = gradient * sum[0] / rows;
    linear[c] = gradient * rstd * rstd * sum[1] / rows;
    const A dg = sum[1] * rstd;
    if (dgamma) dgamma[c] = accumulate ? dgamma[c] + dg : dg;
    if (dbeta) dbeta[c] = accumulate ? dbeta[c] + sum[0] : sum[0];
  }
};

/// dx = γ·rstd·(g − mean(g) − x̂·mean(g·x̂)) and dresidual = g, a chunk of channels of a few rows to an index.
template <class T, Mask kMask>
struct InputGradient {
  using A = acc_t<T>;
  using In = Incoming<T, kMask>;
  In in;
  RowGroups groups;
  const A *constant, *linear;
  T *dx, *dresidual;
  bool dx_accumulate, dresidual_accumulate;

  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = groups.chunks.at(i);
    in.aligned ? apply<true>(at, kChunk) : apply<false>(at, at.size);
  }
  template <bool kAligned>
  TT_HD void apply(const RowChunks::At& at, int size) const {
    const typename In::Constants of = in.template constants<kAligned>(at.c, size);
    Chunk<A> c0 = chunk_of(A(0)), c1 = c0;
    const bool through_statistics = !in.frozen && dx;
    if (through_statistics) {
      c0 = load_chunk(constant + at.c, size, kAligned);
      c1 = load_chunk(linear + at.c, size, kAligned);
    }
    const bool wants_x = through_statistics || kMask == Mask::recomputed;
    constexpr int kAhead = kRowsAhead<T, 64, kAligned>;
    typename In::Row rows[kAhead];
    walk_rows<kAhead>(
        groups.first(at), groups.last(at), 1,
        [&](int j, int64_t row) { in.template read<kAligned>(rows[j], row, at.c, size, wants_x); },
        [&](int j, int64_t row) {
          const int64_t o = row * groups.chunks.c + at.c;
          const Chunk<A> x = wants_x ? rows[j].x.numbers() : chunk_of(A(0));
          Chunk<A> g = in.masked(rows[j], of, x);
          if (dresidual) store_gradient(dresidual + o, g, size, kAligned, dresidual_accumulate);
          if (!dx) return;
          each_in_chunk([&](int k) { g[k] *= of.scale[k]; });
          if (through_statistics) {
            each_in_chunk([&](int k) { g[k] -= c0[k] + c1[k] * (x[k] - of.mean[k]); });
          }
          store_gradient(dx + o, g, size, kAligned, dx_accumulate);
        });
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
  const Tensor &mean = frozen ? a.running_mean : a.mean, &rstd = frozen ? a.running_var : a.rstd;
  const bool aligned = shape.c % kChunk == 0 && all_aligned({a.x.data, a.dy.data, a.dx.data, a.dresidual.data,
                                                             mean.data, rstd.data, a.gamma.data, a.beta.data, partial});
  const Incoming<T, kMask> in{a.x.as<T>(),    a.dy.as<T>(), a.passed.as<uint8_t>(),
                              mean.as<A>(),   rstd.as<A>(), a.gamma.as<A>(),
                              a.beta.as<A>(), A(a.eps),     shape.c,
                              frozen,         aligned};
  if (wants_dw || (wants_dx && !frozen)) {
    launch<ColumnTiles::kLanes>(s, tiles.grid(), ColumnSums<A, 2, GradientTerms<T, kMask>>{tiles, {in}, partial});
    fold_slabs<A, 2>(
        s, tiles.slabs, shape.c, partial,
        WriteChannelGradients<T, kMask>{in, wants_dw ? a.dgamma.as<A>() : nullptr, wants_dw ? a.dbeta.as<A>() : nullptr,
                                        constant, linear, A(tiles.rows), a.dw_mode == GradMode::accumulate});
  }
  if (!wants_dx && !wants_dresidual) return;
  const InputGradient<T, kMask> f{in,
                                  RowGroups(tiles.rows, shape.c),
                                  constant,
                                  linear,
                                  wants_dx ? a.dx.as<T>() : nullptr,
                                  wants_dresidual ? a.dresidual.as<T>() : nullptr,
                                  a.dx_mode == GradMode::accumulate,
                                  a.dresidual_mode == GradMode::accumulate};
  for_each(s, f.groups.chunks.count(), f);
}

}  // namespace

void batchnorm_backward(Stream& s, const BatchNormGradArgs& a) {
  check_batchnorm(a);
  visit_float(a.dy.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (a.act != Act::relu) return backward<T, Mask::none>(s, a);
    a.passed ? backward<T, Mask::packed>(s, a) : backward<T, Mask::recomputed>(s, a);
  });
}

}  // namespace telltale::cuda
