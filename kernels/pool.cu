// Pooling over chunks of channels: forward gathers a window, backward gathers the windows over a pixel.
#include "kernels/core/chunk.h"
#include "kernels/core/launch.h"
#include "kernels/core/math.h"
#include "kernels/pool.h"

namespace telltale {
namespace {

/// A half-open range of rows or columns.
struct Range {
  int first, last;
  TT_HD int size() const { return last - first; }
};

/// One side of fixed windows: `in` pixels padded on both ends, windows of `size` every `stride`.
struct FixedWindows {
  int in, out, size, stride, pad;
  TT_HD Range of_output(int o) const {
    const int start = o * stride - pad, end = start + size;
    return {start > 0 ? start : 0, end < in ? end : in};
  }
  /// The outputs whose windows hold input i.
  TT_HD Range of_input(int i) const {
    const int first = i + pad - size, last = (i + pad) / stride + 1;
    return {first < 0 ? 0 : first / stride + 1, last < out ? last : out};
  }
};

/// One side of adaptive windows: window o = [floor(o·in/out), ceil((o+1)·in/out)).
struct AdaptiveWindows {
  int in, out;
  TT_HD Range of_output(int o) const { return {int(int64_t(o) * in / out), int(ceil_div(int64_t(o + 1) * in, out))}; }
  TT_HD Range of_input(int i) const { return {int(int64_t(i) * out / in), int(ceil_div(int64_t(i + 1) * out, in))}; }
};

/// Where a chunk of an {n,h,w,c} tensor lies.
struct Pixel {
  int64_t n;
  int h, w, c, size;
};
TT_HD inline Pixel pixel_at(const RowChunks& chunks, int h, int w, int64_t i) {
  const RowChunks::At at = chunks.at(i);
  const int64_t line = divide(at.row, w), n = divide(line, h);
  return {n, int(line - n * h), int(at.row - line * w), at.c, at.size};
}

template <class T>
struct MaxPool {
  RowChunks chunks;  // of y
  FixedWindows rows, columns;
  const T* x;
  T* y;
  uint8_t* argmax;  // may be null
  bool relu, aligned;
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Pixel p = pixel_at(chunks, rows.out, columns.out, i);
    const Range r = rows.of_output(p.h), q = columns.of_output(p.w);
    const int top = p.h * rows.stride - rows.pad, left = p.w * columns.stride - columns.pad;
    Chunk<A> best = chunk_of(A(-INFINITY));
    Chunk<int> at = chunk_of((r.first - top) * rows.size + q.first - left);
    for (int h = r.first; h < r.last; ++h) {
      for (int w = q.first; w < q.last; ++w) {
        const int position = (h - top) * rows.size + w - left;
        const Chunk<A> v = load_chunk(x + ((p.n * rows.in + h) * columns.in + w) * chunks.c + p.c, p.size, aligned);
        each_in_chunk([&](int k) {
          // A NaN is not ≤ anything and, once held, gives way to nothing.
          const bool take = !(v[k] <= best[k]) & (best[k] == best[k]);
          best[k] = take ? v[k] : best[k];
          at[k] = take ? position : at[k];
        });
      }
    }
    if (relu) {
      each_in_chunk([&](int k) {
        const bool passes = best[k] > A(0);
        best[k] = passes ? best[k] : A(0);
        at[k] = passes ? at[k] : int(kNoPosition);
      });
    }
    const int64_t o = ((p.n * rows.out + p.h) * columns.out + p.w) * chunks.c + p.c;
    store_chunk(y + o, best, p.size, aligned);
    if (!argmax) return;
    Chunk<float> position;
    each_in_chunk([&](int k) { position[k] = float(at[k]); });
    store_chunk(argmax + o, position, p.size, aligned);
  }
};

template <class T>
struct MaxPoolGradient {
  RowChunks chunks;  // of dx
  FixedWindows rows, columns;
  const T* dy;
  const uint8_t* argmax;
  T* dx;
  bool aligned, accumulate;
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Pixel p = pixel_at(chunks, rows.in, columns.in, i);
    const Range r = rows.of_input(p.h), q = columns.of_input(p.w);
    Chunk<A> sum = chunk_of(A(0));
    for (int h = r.first; h < r.last; ++h) {
      for (int w = q.first; w < q.last; ++w) {
        const float position =
            float((p.h + rows.pad - h * rows.stride) * rows.size + p.w + columns.pad - w * columns.stride);
        const int64_t o = ((p.n * rows.out + h) * columns.out + w) * chunks.c + p.c;
        const Chunk<A> g = load_chunk(dy + o, p.size, aligned);
        const Chunk<float> at = load_chunk(argmax + o, p.size, aligned);
        each_in_chunk([&](int k) { sum[k] += at[k] == position ? g[k] : A(0); });
      }
    }
    store_gradient(dx + ((p.n * rows.in + p.h) * columns.in + p.w) * chunks.c + p.c, sum, p.size, aligned, accumulate);
  }
};

template <class T, class Windows>
struct AvgPool {
  RowChunks chunks;  // of y
  Windows rows, columns;
  const T* x;
  T* y;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Pixel p = pixel_at(chunks, rows.out, columns.out, i);
    const Range r = rows.of_output(p.h), q = columns.of_output(p.w);
    Chunk<A> sum = chunk_of(A(0));
    for (int h = r.first; h < r.last; ++h) {
      for (int w = q.first; w < q.last; ++w) {
        const Chunk<A> v = load_chunk(x + ((p.n * rows.in + h) * columns.in + w) * chunks.c + p.c, p.size, aligned);
        each_in_chunk([&](int k) { sum[k] += v[k]; });
      }
    }
    const A pixels = A(r.size() * q.size());
    each_in_chunk([&](int k) { sum[k] /= pixels; });
    store_chunk(y + ((p.n * rows.out + p.h) * columns.out + p.w) * chunks.c + p.c, sum, p.size, aligned);
  }
};

template <class T, class Windows>
struct AvgPoolGradient {
  RowChunks chunks;  // of dx
  Windows rows, columns;
  const T* dy;
  T* dx;
  bool aligned, accumulate;
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Pixel p = pixel_at(chunks, rows.in, columns.in, i);
    const Range r = rows.of_input(p.h), q = columns.of_input(p.w);
    Chunk<A> sum = chunk_of(A(0));
    for (int h = r.first; h < r.last; ++h) {
      const int height = rows.of_output(h).size();
      for (int w = q.first; w < q.last; ++w) {
        const A share = A(1) / A(height * columns.of_output(w).size());
        const Chunk<A> g = load_chunk(dy + ((p.n * rows.out + h) * columns.out + w) * chunks.c + p.c, p.size, aligned);
        each_in_chunk([&](int k) { sum[k] += g[k] * share; });
      }
    }
    store_gradient(dx + ((p.n * rows.in + p.h) * columns.in + p.w) * chunks.c + p.c, sum, p.size, aligned, accumulate);
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

template <class Windows>
void average(Stream& s, const PoolArgs& a, Windows rows, Windows columns) {
  visit_float(a.x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const RowChunks chunks(a.y.shape.rows(), a.y.shape.c);
    const bool aligned = chunks.c % kChunk == 0 && all_aligned({a.x.data, a.y.data});
    for_each(s, chunks.count(), AvgPool<T, Windows>{chunks, rows, columns, a.x.as<T>(), a.y.as<T>(), aligned});
  });
}

template <class Windows>
void average_gradient(Stream& s, const PoolArgs& a, Windows rows, Windows columns) {
  visit_float(a.dx.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const RowChunks chunks(a.dx.shape.rows(), a.dx.shape.c);
    const bool aligned = chunks.c % kChunk == 0 && all_aligned({a.dx.data, a.dy.data});
    for_each(s, chunks.count(),
             AvgPoolGradient<T, Windows>{chunks, rows, columns, a.dy.as<T>(), a.dx.as<T>(), aligned,
                                         a.dx_mode == GradMode::accumulate});
  });
}

FixedWindows windows(const PoolArgs& a, int in, int out) { return {in, out, a.size, a.stride, a.pad}; }

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
  visit_float(a.x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const RowChunks chunks(a.y.shape.rows(), a.y.shape.c);
    const bool aligned = chunks.c % kChunk == 0 && all_aligned({a.x.data, a.y.data, a.argmax.data});
    for_each(s, chunks.count(),
             MaxPool<T>{chunks, windows(a, a.x.shape.h, a.y.shape.h), windows(a, a.x.shape.w, a.y.shape.w), a.x.as<T>(),
                        a.y.as<T>(), a.argmax.as<uint8_t>(), a.act == Act::relu, aligned});
  });
}

void max_pool_backward(Stream& s, const PoolArgs& a) {
  if (a.dx_mode == GradMode::ignore) return;
  check_fixed("max_pool", a, a.dx, a.dy);
  check_max(a, a.dy.shape, true);
  visit_float(a.dx.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const RowChunks chunks(a.dx.shape.rows(), a.dx.shape.c);
    const bool aligned = chunks.c % kChunk == 0 && all_aligned({a.dx.data, a.dy.data, a.argmax.data});
    for_each(s, chunks.count(),
             MaxPoolGradient<T>{chunks, windows(a, a.dx.shape.h, a.dy.shape.h), windows(a, a.dx.shape.w, a.dy.shape.w),
                                a.dy.as<T>(), a.argmax.as<uint8_t>(), a.dx.as<T>(), aligned,
                                a.dx_mode == GradMode::accumulate});
  });
}

void avg_pool_forward(Stream& s, const PoolArgs& a) {
  check_fixed("avg_pool", a, a.x, a.y);
  average(s, a, windows(a, a.x.shape.h, a.y.shape.h), windows(a, a.x.shape.w, a.y.shape.w));
}

void avg_pool_backward(Stream& s, const PoolArgs& a) {
  if (a.dx_mode == GradMode::ignore) return;
  check_fixed("avg_pool", a, a.dx, a.dy);
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
  average_gradient(s, a, AdaptiveWindows{x.h, y.h}, AdaptiveWindows{x.w, y.w});
}

}  // namespace telltale
