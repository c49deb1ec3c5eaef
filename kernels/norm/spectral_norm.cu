// The device's spectral norm: products with W by column and by row, lengths in a fixed tree.
#include <cmath>

#include "kernels/device/launch.h"
#include "kernels/norm/spectral_norm.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

constexpr int kLanes = 256;

template <class A>
struct SharedSums {
  A v[kLanes];
};

/// v = Wᵀu, a chunk of columns per index.
template <class A>
struct Project {
  FlatChunks chunks;
  const A *w, *u;
  A* v;
  int rows;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    Chunk<A> sum = chunk_of(A(0));
    for (int k = 0; k < rows; ++k) {
      const Chunk<A> row = load_chunk(w + k * chunks.n + o, n, aligned);
      const A scale = u[k];
      each_in_chunk([&](int j) { sum[j] += scale * row[j]; });
    }
    store_chunk(v + o, sum, n, aligned);
  }
};

/// to[block] = Σ a·b over the block's run of `length` numbers; b starts again with every block when `one_b`.
template <class A>
struct Dots {
  using Shared = SharedSums<A>;
  const A *a, *b;
  A* to;
  int64_t length, total;
  bool one_b;
  TT_HD void operator()(const Block<kLanes>& block, Shared& shared) const {
    const int64_t first = block.index * length, n = total - first < length ? total - first : length;
    const A *x = a + first, *y = one_b ? b : b + first;
    auto sum = block.lane(A(0));
    block.each([&](int t) {
      A mine = 0;
      for (int64_t i = t; i < n; i += kLanes) mine += x[i] * y[i];
      sum[t] = mine;
    });
    const A all = block.sum(sum, shared.v);
    block.each([&](int t) {
      if (t == 0) to[block.index] = all;
    });
  }
};

/// *to = Σ x.
template <class A>
struct Total {
  using Shared = SharedSums<A>;
  const A* x;
  A* to;
  int64_t n;
  TT_HD void operator()(const Block<kLanes>& block, Shared& shared) const {
    auto sum = block.lane(A(0));
    block.each([&](int t) {
      A mine = 0;
      for (int64_t i = t; i < n; i += kLanes) mine += x[i];
      sum[t] = mine;
    });
    const A all = block.sum(sum, shared.v);
    block.each([&](int t) {
      if (t == 0) *to = all;
    });
  }
};

/// to = from divided by its length; one block.
template <class A>
struct Normalise {
  using Shared = SharedSums<A>;
  const A* from;
  A* to;
  int64_t n;
  TT_HD void operator()(const Block<kLanes>& block, Shared& shared) const {
    auto sum = block.lane(A(0));
    block.each([&](int t) {
      A mine = 0;
      for (int64_t i = t; i < n; i += kLanes) mine += from[i] * from[i];
      sum[t] = mine;
    });
    const A length = std::sqrt(block.sum(sum, shared.v)), divisor = length > A(1e-12) ? length : A(1e-12);
    block.each([&](int t) {
      for (int64_t i = t; i < n; i += kLanes) to[i] = from[i] / divisor;
    });
  }
};

template <class A, class Y>
struct Divide {
  FlatChunks chunks;
  const A *w, *sigma;
  Y* y;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    Chunk<A> v = load_chunk(w + o, n, aligned);
    const A divisor = *sigma;
    each_in_chunk([&](int k) { v[k] /= divisor; });
    store_chunk(y + o, v, n, aligned);
  }
};

template <class A>
struct FilterGradient {
  RowChunks chunks;
  const A *dy, *u, *v, *sigma, *inner;
  A* dw;
  bool aligned, accumulate;
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const int64_t o = at.row * chunks.c + at.c;
    Chunk<A> g = load_chunk(dy + o, at.size, aligned);
    const Chunk<A> direction = load_chunk(v + at.c, at.size, aligned);
    const A divisor = *sigma, scale = *inner / divisor * u[at.row];
    each_in_chunk([&](int k) { g[k] = (g[k] - scale * direction[k]) / divisor; });
    store_gradient(dw + o, g, at.size, aligned, accumulate);
  }
};

template <class A, class Y>
void forward(Stream& s, const SpectralNormArgs& a) {
  const int64_t rows = a.w.shape.n, columns = rows ? a.w.shape.numel() / rows : 0;
  const A* w = a.w.as<A>();
  A *u = a.u.as<A>(), *v = a.v.as<A>(), *sigma = a.sigma.as<A>();
  A* applied = s.workspace(size_t(rows) * sizeof(A)).template as<A>();
  if (a.iterate) {
    const FlatChunks chunks{columns};
    for_each(s, chunks.count(), Project<A>{chunks, w, u, v, int(rows), columns % kChunk == 0 && all_aligned({w, v})},
             rows * kChunk);
    launch<kLanes>(s, 1, Normalise<A>{v, v, columns});
  }
  launch<kLanes>(s, rows, Dots<A>{w, v, applied, columns, rows * columns, true});
  if (a.iterate) launch<kLanes>(s, 1, Normalise<A>{applied, u, rows});
  launch<kLanes>(s, 1, Dots<A>{u, applied, sigma, rows, rows, false});
  const FlatChunks all{rows * columns};
  Y* y = a.y.as<Y>();
  for_each(s, all.count(), Divide<A, Y>{all, w, sigma, y, all_aligned({w, y})}, kChunk);
}

template <class A>
void backward(Stream& s, const SpectralNormGradArgs& a) {
  const int rows = a.w.shape.n;
  const int64_t numel = a.w.shape.numel(), columns = rows ? numel / rows : 0;
  const A *w = a.w.as<A>(), *dy = a.dy.as<A>(), *u = a.u.as<A>(), *v = a.v.as<A>(), *sigma = a.sigma.as<A>();
  A* dw = a.dw.as<A>();
  A* sums = s.workspace(size_t(rows + 1) * sizeof(A)).template as<A>();
  launch<kLanes>(s, rows, Dots<A>{w, dy, sums, columns, numel, false});
  launch<kLanes>(s, 1, Total<A>{sums, sums + rows, rows});
  const RowChunks chunks(rows, int(columns));
  const bool aligned = columns % kChunk == 0 && all_aligned({dy, v, dw});
  for_each(s, chunks.count(),
           FilterGradient<A>{chunks, dy, u, v, sigma, sums + rows, dw, aligned, a.dw_mode == GradMode::accumulate},
           kChunk);
}

}  // namespace

namespace cuda {
void spectral_norm_forward(Stream& s, const SpectralNormArgs& a) {
  check(a);
  visit_float(a.y.dtype, [&](auto tag) {
    using Y = typename decltype(tag)::type;
    forward<acc_t<Y>, Y>(s, a);
  });
}

void spectral_norm_backward(Stream& s, const SpectralNormGradArgs& a) {
  check(a);
  if (a.dw_mode == GradMode::ignore) return;
  a.w.dtype == DType::f64 ? backward<double>(s, a) : backward<float>(s, a);
}
}  // namespace cuda

}  // namespace telltale
