// Pooling over chunks of channels: forward gathers a window, backward gathers the windows over a pixel.
#include <limits>

#include "kernels/device/launch.h"
#include "kernels/pool_max.h"

namespace telltale {
namespace {

constexpr int64_t kMostInt = std::numeric_limits<int>::max();

/// The chunks that an average's body goes through: whole and aligned ones are counted by multiplications.
template <bool kWhole>
using Chunks = std::conditional_t<kWhole, WholeChunks, RowChunks>;

template <class T, class Windows, bool kWhole>
struct AvgPool {
  Chunks<kWhole> chunks;  // of y
  Windows rows, columns;
  const T* x;
  T* y;
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Pixel p = pixel_at(chunks, rows.out, columns.out, i);
    const Range r = rows.of_output(p.h), q = columns.of_output(p.w);
    Chunk<A> sum = chunk_of(A(0));
    const auto add = [&](const Chunk<A>& v) { each_in_chunk([&](int k) { sum[k] += v[k]; }); };
    for (int h = r.first; h < r.last; ++h) {
      const T* from = x + ((p.n * rows.in + h) * columns.in + q.first) * chunks.c + p.c;
      int left = q.size();
      if constexpr (kWhole) {  // four on their way at once
        for (; left >= 4; left -= 4, from += 4 * int64_t(chunks.c)) {
          Chunk<A> v[4];
          unrolled<4>([&](int k) { v[k] = load_chunk(from + k * int64_t(chunks.c), kChunk, true); });
          unrolled<4>([&](int k) { add(v[k]); });
        }
      }
      for (; left > 0; --left, from += chunks.c) add(load_chunk(from, p.size, kWhole));
    }
    const A pixels = A(r.size() * q.size());
    each_in_chunk([&](int k) { sum[k] /= pixels; });
    store_chunk(y + ((p.n * rows.out + p.h) * columns.out + p.w) * chunks.c + p.c, sum, p.size, kWhole);
  }
};

template <class T, class Windows, bool kWhole>
struct AvgPoolGradient {
  Chunks<kWhole> chunks;  // of dx
  Windows rows, columns;
  const T* dy;
  T* dx;
  bool accumulate;
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Pixel p = pixel_at(chunks, rows.in, columns.in, i);
    const Range r = rows.of_input(p.h), q = columns.of_input(p.w);
    Chunk<A> sum = chunk_of(A(0));
    for (int h = r.first; h < r.last; ++h) {
      const int height = rows.of_output(h).size();
      for (int w = q.first; w < q.last; ++w) {
        const A share = A(1) / A(height * columns.of_output(w).size());
        const Chunk<A> g = load_chunk(dy + ((p.n * rows.out + h) * columns.out + w) * chunks.c + p.c, p.size, kWhole);
        each_in_chunk([&](int k) { sum[k] += g[k] * share; });
      }
    }
    store_gradient(dx + ((p.n * rows.in + p.h) * columns.in + p.w) * chunks.c + p.c, sum, p.size, kWhole, accumulate);
  }
};

void check(const char* op, bool fits, const Tensor& in, const Tensor& out) {
  TT_CHECK(in && out && fits && in.dtype == out.dtype, ShapeError, op, ": ", to_string(in.shape), " of ",
           name_of(in.dtype), " does not pool to ", to_string(out.shape), " of ", name_of(out.dtype));
}
void check_fixed(const char* op, const PoolArgs& a, const Tensor& in, const Tensor& out) {
  check(op, out.shape == pool_output(in.shape, a.size, a.stride, a.pad), in, out);
}
void check_max(const PoolArgs& a, const Shape& y, bool needs_argmax) {
  TT_CHECK(a.argmax || !needs_argmax, ShapeError, "max_pool: backward needs argmax");
  if (!a.argmax) return;
  TT_CHECK(a.size <= 15, ShapeError, "max_pool: a window of ", a.size, " has positions beyond 8 bits; at most 15");
  TT_CHECK(a.argmax.shape == y && a.argmax.dtype == DType::u8, ShapeError, "max_pool: argmax must be ", to_string(y),
           " of u8, got ", to_string(a.argmax.shape), " of ", name_of(a.argmax.dtype));
}

/// Calls f(WholeChunks) where chunks of this shape are whole, aligned and countable by an int, else f(RowChunks).
template <class F>
void with_chunks(const Shape& shape, bool aligned, const F& f) {
  if (aligned && shape.c % kChunk == 0 && shape.numel() / kChunk <= kMostInt)
    return f(WholeChunks(shape.h, shape.w, shape.c));
  f(RowChunks(shape.rows(), shape.c));
}

template <class Windows>
void average(Stream& s, const PoolArgs& a, Windows rows, Windows columns) {
  visit_float(a.x.dtype, [&]<class T>(Tag<T>) {
    with_chunks(a.y.shape, all_aligned({a.x.data, a.y.data}), [&]<class C>(C chunks) {
      constexpr bool kWhole = std::is_same_v<C, WholeChunks>;
      for_each(s, RowChunks(a.y.shape.rows(), chunks.c).count(),
               AvgPool<T, Windows, kWhole>{chunks, rows, columns, a.x.as<T>(), a.y.as<T>()});
    });
  });
}

template <class Windows>
void average_gradient(Stream& s, const PoolArgs& a, Windows rows, Windows columns) {
  visit_float(a.dx.dtype, [&]<class T>(Tag<T>) {
    with_chunks(a.dx.shape, all_aligned({a.dx.data, a.dy.data}), [&]<class C>(C chunks) {
      constexpr bool kWhole = std::is_same_v<C, WholeChunks>;
      for_each(s, RowChunks(a.dx.shape.rows(), chunks.c).count(),
               AvgPoolGradient<T, Windows, kWhole>{chunks, rows, columns, a.dy.as<T>(), a.dx.as<T>(),
                                                   a.dx_mode == GradMode::accumulate});
    });
  });
}

template <int kSize = 0, int kStride = 0>
FixedWindows<kSize, kStride> windows(const PoolArgs& a, int in, int out) {
  return {in, out, a.size, a.stride, a.pad};
}

/// Calls f(rows, columns) with the windows from x to y: of a size and stride known when compiling where the nets have
/// them and chunks are whole, aligned and countable by an int.
template <class F>
void with_max_windows(const PoolArgs& a, const Shape& x, const Shape& y, bool aligned, const F& f) {
  const bool known = aligned && x.numel() / kChunk <= kMostInt && int64_t(x.h) * x.w * x.c <= kMostInt;
  if (known && a.size == 2 && a.stride == 2) return f(windows<2, 2>(a, x.h, y.h), windows<2, 2>(a, x.w, y.w));
  if (known && a.size == 3 && a.stride == 2) return f(windows<3, 2>(a, x.h, y.h), windows<3, 2>(a, x.w, y.w));
  f(windows(a, x.h, y.h), windows(a, x.w, y.w));
}

}  // namespace

Shape pool_output(const Shape& x, int size, int stride, int pad) {
  TT_CHECK(size > 0 && stride > 0 && pad >= 0 && 2 * pad <= size, ShapeError, "pool: a window of ", size, ", stride ",
           stride, " and padding ", pad, " can't be; 2·padding must be at most the window");
  TT_CHECK(x.h + 2 * pad >= size && x.w + 2 * pad >= size && x.n > 0 && x.c > 0, ShapeError, "pool: ", to_string(x),
           " with padding ", pad, " is smaller than a window of ", size);
  return {x.n, (x.h + 2 * pad - size) / stride + 1, (x.w + 2 * pad - size) / stride + 1, x.c};
}

void max_pool_forward(Stream& s, const PoolArgs& a) {
  check_fixed("max_pool", a, a.x, a.y);
  check_max(a, a.y.shape, false);
  if (!s.device_bodies() && cpu::max_pool_forward(s, a)) return;
  visit_float(a.x.dtype, [&]<class T>(Tag<T>) {
    const Shape& shape = a.y.shape;
    const RowChunks chunks(shape.rows(), shape.c);
    const bool aligned = shape.c % kChunk == 0 && all_aligned({a.x.data, a.y.data, a.argmax.data});
    const bool relu = a.act == Act::relu;
    const T* x = a.x.as<T>();
    T* y = a.y.as<T>();
    uint8_t* argmax = a.argmax.as<uint8_t>();
    with_max_windows(a, a.x.shape, shape, aligned, [&]<class Windows>(Windows rows, Windows columns) {
      if constexpr (Windows::kKnown) {
        const WholeChunks whole(shape.h, shape.w, shape.c);
        if constexpr (is_half<T>) {
          // A CPU has no instructions for pairs and fares better with floats.
          if (s.device_bodies())
            return for_each(s, chunks.count(), MaxPoolPairs<T, Windows>{whole, rows, columns, x, y, argmax, relu});
        }
        for_each(s, chunks.count(), MaxPool<T, Windows>{whole, rows, columns, x, y, argmax, relu, aligned});
      } else {
        for_each(s, chunks.count(), MaxPool<T, Windows>{chunks, rows, columns, x, y, argmax, relu, aligned});
      }
    });
  });
}

void max_pool_backward(Stream& s, const PoolArgs& a) {
  if (a.dx_mode == GradMode::ignore) return;
  check_fixed("max_pool", a, a.dx, a.dy);
  check_max(a, a.dy.shape, true);
  if (!s.device_bodies() && cpu::max_pool_backward(s, a)) return;
  visit_float(a.dx.dtype, [&]<class T>(Tag<T>) {
    const Shape& shape = a.dx.shape;
    const bool aligned = shape.c % kChunk == 0 && all_aligned({a.dx.data, a.dy.data, a.argmax.data});
    const bool accumulate = a.dx_mode == GradMode::accumulate;
    const T* dy = a.dy.as<T>();
    const uint8_t* argmax = a.argmax.as<uint8_t>();
    T* dx = a.dx.as<T>();
    with_max_windows(a, shape, a.dy.shape, aligned, [&]<class Windows>(Windows rows, Windows columns) {
      if constexpr (Windows::kKnown) {
        using Body = MaxPoolBlockGradient<T, Windows>;
        const int h = Body::blocks(rows), w = Body::blocks(columns);
        for_each(s, int64_t(shape.n) * h * w * (shape.c / kChunk),
                 Body{rows, columns, WholeChunks(h, w, shape.c), dy, argmax, dx, accumulate});
      } else {
        const RowChunks chunks(shape.rows(), shape.c);
        for_each(s, chunks.count(), MaxPoolGradient<T>{chunks, rows, columns, dy, argmax, dx, aligned, accumulate});
      }
    });
  });
}

void avg_pool_forward(Stream& s, const PoolArgs& a) {
  check_fixed("avg_pool", a, a.x, a.y);
  average(s, a, windows(a, a.x.shape.h, a.y.shape.h), windows(a, a.x.shape.w, a.y.shape.w));
}

void avg_pool_backward(Stream& s, const PoolArgs& a) {
  if (a.dx_mode == GradMode::ignore) return;
  check_fixed("avg_pool", a, a.dx, a.dy);
  if (!s.device_bodies()) return cpu::avg_pool_backward(s, a);
  average_gradient(s, a, windows(a, a.dx.shape.h, a.dy.shape.h), windows(a, a.dx.shape.w, a.dy.shape.w));
}

void adaptive_avg_pool_forward(Stream& s, const PoolArgs& a) {
  const Shape x = a.x.shape, y = a.y.shape;
  check("adaptive_avg_pool", x.n == y.n && x.c == y.c && x.numel() > 0 && y.numel() > 0, a.x, a.y);
  average(s, a, AdaptiveWindows{x.h, y.h}, AdaptiveWindows{x.w, y.w});
}

void adaptive_avg_pool_backward(Stream& s, const PoolArgs& a) {
  if (a.dx_mode == GradMode::ignore) return;
  const Shape x = a.dx.shape, y = a.dy.shape;
  check("adaptive_avg_pool", x.n == y.n && x.c == y.c && x.numel() > 0 && y.numel() > 0, a.dx, a.dy);
  if (!s.device_bodies()) return cpu::adaptive_avg_pool_backward(s, a);
  average_gradient(s, a, AdaptiveWindows{x.h, y.h}, AdaptiveWindows{x.w, y.w});
}

}  // namespace telltale
