// A sample's rows each leave their sums, one index a sample and eight channels folds them, and pixels read the result.
#include <cmath>

#include "kernels/device/launch.h"
#include "kernels/norm/contrast.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

/// A row's mean and its squared deviations from it: deviations from 0 would cancel.
template <class T>
struct RowMoments {
  using A = acc_t<T>;
  const T* x;
  A* rows;  ///< {N·H, 2C}
  int w;
  RowChunks chunks;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const int c = chunks.c;
    const T* from = x + at.row * w * c + at.c;
    Chunk<A> mean = chunk_of(A(0)), squares = chunk_of(A(0));
    for (int64_t k = 0; k < w; ++k) {
      const Chunk<A> v = load_chunk(from + k * c, at.size, aligned);
      each_in_chunk([&](int j) { mean[j] += v[j]; });
    }
    each_in_chunk([&](int j) { mean[j] /= A(w); });
    for (int64_t k = 0; k < w; ++k) {
      const Chunk<A> v = load_chunk(from + k * c, at.size, aligned);
      each_in_chunk([&](int j) { squares[j] += (v[j] - mean[j]) * (v[j] - mean[j]); });
    }
    store_chunk(rows + at.row * 2 * c + at.c, mean, at.size, false);
    store_chunk(rows + at.row * 2 * c + c + at.c, squares, at.size, false);
  }
};

/// A sample's statistics from its rows'.
template <class A>
struct FoldMoments {
  const A* rows;
  A* stats;
  int h, w;
  RowChunks chunks;
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const int c = chunks.c;
    const A* from = rows + at.row * h * 2 * c + at.c;
    Chunk<A> mean = chunk_of(A(0)), squares = chunk_of(A(0));
    for (int64_t k = 0; k < h; ++k) {
      const Chunk<A> m = load_chunk(from + k * 2 * c, at.size, false);
      each_in_chunk([&](int j) { mean[j] += m[j]; });
    }
    each_in_chunk([&](int j) { mean[j] /= A(h); });
    for (int64_t k = 0; k < h; ++k) {
      const Chunk<A> m = load_chunk(from + k * 2 * c, at.size, false);
      const Chunk<A> q = load_chunk(from + k * 2 * c + c, at.size, false);
      each_in_chunk([&](int j) { squares[j] += q[j] + A(w) * (m[j] - mean[j]) * (m[j] - mean[j]); });
    }
    each_in_chunk([&](int j) { squares[j] = 1 / std::sqrt(squares[j] / (A(h) * A(w)) + A(kContrastEpsilon)); });
    store_chunk(stats + at.row * 2 * c + at.c, mean, at.size, false);
    store_chunk(stats + at.row * 2 * c + c + at.c, squares, at.size, false);
  }
};

template <class T>
struct Normalise {
  using A = acc_t<T>;
  const T* x;
  const A* stats;
  T* y;
  int64_t pixels;  ///< of a sample
  RowChunks chunks;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const int c = chunks.c;
    const A* of = stats + at.row / pixels * 2 * c + at.c;
    Chunk<A> v = load_chunk(x + at.row * c + at.c, at.size, aligned);
    const Chunk<A> mean = load_chunk(of, at.size, false), scale = load_chunk(of + c, at.size, false);
    T* to = y + at.row * 2 * c + at.c;
    store_chunk(to, v, at.size, aligned);
    each_in_chunk([&](int j) { v[j] = (v[j] - mean[j]) * scale[j]; });
    store_chunk(to + c, v, at.size, aligned);
  }
};

/// A row's sums of the second half's gradient, and of its product with that half.
template <class T>
struct RowGradients {
  using A = acc_t<T>;
  const T *x, *dy;
  const A* stats;
  A* rows;
  int h, w;
  RowChunks chunks;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const int c = chunks.c;
    const A* of = stats + at.row / h * 2 * c + at.c;
    const Chunk<A> mean = load_chunk(of, at.size, false), scale = load_chunk(of + c, at.size, false);
    Chunk<A> sums = chunk_of(A(0)), products = chunk_of(A(0));
    for (int64_t k = at.row * w; k < (at.row + 1) * w; ++k) {
      const Chunk<A> v = load_chunk(x + k * c + at.c, at.size, aligned);
      const Chunk<A> d = load_chunk(dy + k * 2 * c + c + at.c, at.size, aligned);
      each_in_chunk([&](int j) {
        sums[j] += d[j];
        products[j] += d[j] * (v[j] - mean[j]) * scale[j];
      });
    }
    store_chunk(rows + at.row * 2 * c + at.c, sums, at.size, false);
    store_chunk(rows + at.row * 2 * c + c + at.c, products, at.size, false);
  }
};

/// The means of a sample's rows' sums.
template <class A>
struct FoldGradients {
  const A* rows;
  A* means;
  int h, w;
  RowChunks chunks;  ///< of N rows of 2C
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    Chunk<A> sum = chunk_of(A(0));
    for (int64_t k = at.row * h; k < (at.row + 1) * h; ++k) {
      const Chunk<A> v = load_chunk(rows + k * chunks.c + at.c, at.size, false);
      each_in_chunk([&](int j) { sum[j] += v[j]; });
    }
    each_in_chunk([&](int j) { sum[j] /= A(h) * A(w); });
    store_chunk(means + at.row * chunks.c + at.c, sum, at.size, false);
  }
};

template <class T>
struct ContrastGradient {
  using A = acc_t<T>;
  const T *x, *dy;
  const A *stats, *means;
  T* dx;
  int64_t pixels;
  RowChunks chunks;
  bool aligned, accumulate;
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const int c = chunks.c;
    const int64_t of = at.row / pixels * 2 * c + at.c;
    const Chunk<A> mean = load_chunk(stats + of, at.size, false), scale = load_chunk(stats + of + c, at.size, false);
    const Chunk<A> sum = load_chunk(means + of, at.size, false), product = load_chunk(means + of + c, at.size, false);
    const Chunk<A> v = load_chunk(x + at.row * c + at.c, at.size, aligned);
    Chunk<A> d = load_chunk(dy + at.row * 2 * c + at.c, at.size, aligned);
    const Chunk<A> e = load_chunk(dy + at.row * 2 * c + c + at.c, at.size, aligned);
    each_in_chunk([&](int j) { d[j] += scale[j] * (e[j] - sum[j] - (v[j] - mean[j]) * scale[j] * product[j]); });
    store_gradient(dx + at.row * c + at.c, d, at.size, aligned, accumulate);
  }
};

void check(const Tensor& x, const Tensor& stats, const Tensor& joined, const Tensor& like) {
  const Shape &s = x.shape, twice{s.n, s.h, s.w, 2 * s.c}, of{s.n, 1, 1, 2 * s.c};
  TT_CHECK(joined.shape == twice && joined.dtype == x.dtype && like.shape == s && like.dtype == x.dtype, ShapeError,
           "contrast: ", to_string(joined.shape), " of ", name_of(joined.dtype), " does not fit ", to_string(s), " of ",
           name_of(x.dtype));
  TT_CHECK(stats.shape == of && stats.dtype == accumulator_of(x.dtype), ShapeError, "contrast: stats are ",
           to_string(stats.shape), " of ", name_of(stats.dtype), ", expected ", to_string(of), " of ",
           name_of(accumulator_of(x.dtype)));
}

}  // namespace

void contrast_forward(Stream& s, const ContrastArgs& a) {
  check(a.x, a.stats, a.y, a.x);
  const Shape& x = a.x.shape;
  if (x.numel() == 0) return;
  visit_float(a.x.dtype, [&]<class T>(Tag<T>) {
    using A = acc_t<T>;
    const int64_t lines = int64_t(x.n) * x.h;
    A* rows = s.workspace(size_t(lines * 2 * x.c) * sizeof(A)).template as<A>();
    const bool aligned = x.c % kChunk == 0 && all_aligned({a.x.data, a.y.data});
    const RowChunks by_line(lines, x.c), by_sample(x.n, x.c), by_pixel(x.rows(), x.c);
    for_each(s, by_line.count(), RowMoments<T>{a.x.as<const T>(), rows, x.w, by_line, aligned}, 2 * kChunk * x.w);
    for_each(s, by_sample.count(), FoldMoments<A>{rows, a.stats.as<A>(), x.h, x.w, by_sample}, 3 * kChunk * x.h);
    for_each(s, by_pixel.count(),
             Normalise<T>{a.x.as<const T>(), a.stats.as<const A>(), a.y.as<T>(), int64_t(x.h) * x.w, by_pixel, aligned},
             3 * kChunk);
  });
}

void contrast_backward(Stream& s, const ContrastGradArgs& a) {
  check(a.x, a.stats, a.dy, a.mode == GradMode::ignore ? a.x : a.dx);
  const Shape& x = a.x.shape;
  if (x.numel() == 0 || a.mode == GradMode::ignore) return;
  visit_float(a.x.dtype, [&]<class T>(Tag<T>) {
    using A = acc_t<T>;
    const int64_t lines = int64_t(x.n) * x.h;
    A* rows = s.workspace(size_t((lines + x.n) * 2 * x.c) * sizeof(A)).template as<A>();
    A* means = rows + lines * 2 * x.c;
    const bool aligned = x.c % kChunk == 0 && all_aligned({a.x.data, a.dy.data, a.dx.data});
    const RowChunks by_line(lines, x.c), by_sample(x.n, 2 * x.c), by_pixel(x.rows(), x.c);
    const T *in = a.x.as<const T>(), *dy = a.dy.as<const T>();
    const A* stats = a.stats.as<const A>();
    for_each(s, by_line.count(), RowGradients<T>{in, dy, stats, rows, x.h, x.w, by_line, aligned}, 2 * kChunk * x.w);
    for_each(s, by_sample.count(), FoldGradients<A>{rows, means, x.h, x.w, by_sample}, kChunk * x.h);
    for_each(s, by_pixel.count(),
             ContrastGradient<T>{in, dy, stats, means, a.dx.as<T>(), int64_t(x.h) * x.w, by_pixel, aligned,
                                 a.mode == GradMode::accumulate},
             4 * kChunk);
  });
}

}  // namespace telltale
