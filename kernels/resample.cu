#include "kernels/core/channel_chunks.h"
#include "kernels/core/launch.h"
#include "kernels/core/math.h"
#include "kernels/core/triangle.h"
#include "kernels/resample.h"

namespace telltale {
namespace {

struct PixelPlace {
  int64_t n, h, w;
};
TT_HD inline PixelPlace place_of(int64_t pixel, const Shape& s) {
  const int64_t row = divide(pixel, s.w), n = divide(row, s.h);
  return {n, row - n * s.h, pixel - row * s.w};
}
TT_HD inline int64_t offset_of(int64_t n, int64_t h, int64_t w, const Shape& s) {
  return ((n * s.h + h) * s.w + w) * s.c;
}

/// What every kernel here knows: one output pixel, or a chunk of it, is one index.
template <class T>
struct Resample {
  const T* x;
  T* y;
  Shape from, to;
  ChannelChunks chunks;
  bool aligned, accumulate;
};

/// Which input an output reads along one axis: floor(o·in/out).
struct FloorAxis {
  int64_t in, out;
  TT_HD int64_t source(int64_t o) const { return divide(o * in, out); }
  /// The first output that reads input i or a later one.
  TT_HD int64_t begin(int64_t i) const { return ceil_div(i * out, in); }
};
/// The input nearest to o·(in − 1)/(out − 1), the later one of two.
struct AlignedAxis {
  int64_t in, out;
  TT_HD int64_t source(int64_t o) const { return out == 1 ? 0 : divide(2 * o * (in - 1) + out - 1, 2 * (out - 1)); }
  TT_HD int64_t begin(int64_t i) const {
    if (i == 0) return 0;
    if (in == 1) return out;
    const int64_t first = ceil_div((2 * i - 1) * (out - 1), 2 * (in - 1));
    return first < out && out > 1 ? first : out;
  }
};

template <class Axis>
struct Nearest {
  template <class T>
  struct Forward : Resample<T> {
    TT_HD void operator()(int64_t i) const {
      const Shape &from = this->from, &to = this->to;
      const PixelPlace p = place_of(this->chunks.pixel(i), to);
      const int64_t h = Axis{from.h, to.h}.source(p.h), w = Axis{from.w, to.w}.source(p.w);
      const T* source = this->x + offset_of(p.n, h, w, from);
      T* target = this->y + offset_of(p.n, p.h, p.w, to);
      this->chunks.each(i, [&](int c, int count) {
        store_chunk(target + c, load_chunk(source + c, count, this->aligned), count, this->aligned);
      });
    }
  };

  template <class T>
  struct Backward : Resample<T> {
    TT_HD void operator()(int64_t i) const {
      const Shape &from = this->from, &to = this->to;  // of dy, of dx
      const PixelPlace p = place_of(this->chunks.pixel(i), to);
      const Axis rows{to.h, from.h}, columns{to.w, from.w};
      const int64_t h0 = rows.begin(p.h), h1 = rows.begin(p.h + 1);
      const int64_t w0 = columns.begin(p.w), w1 = columns.begin(p.w + 1);
      T* target = this->y + offset_of(p.n, p.h, p.w, to);
      this->chunks.each(i, [&](int c, int count) {
        auto sum = chunk_of(acc_t<T>(0));
        for (int64_t h = h0; h < h1; ++h) {
          for (int64_t w = w0; w < w1; ++w) {
            const auto dy = load_chunk(this->x + offset_of(p.n, h, w, from) + c, count, this->aligned);
            for (int k = 0; k < kChunk; ++k) sum[k] += dy[k];
          }
        }
        store_gradient(target + c, sum, count, this->aligned, this->accumulate);
      });
    }
  };
};

template <class T>
struct BilinearForward : Resample<T> {
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Shape &from = this->from, &to = this->to;
    const PixelPlace p = place_of(this->chunks.pixel(i), to);
    const TriangleAxis rows{from.h, to.h}, columns{from.w, to.w};
    const A row_total = A(rows.total(p.h)), column_total = A(columns.total(p.w));
    const int64_t h1 = rows.end(p.h), w0 = columns.begin(p.w), w1 = columns.end(p.w);
    T* target = this->y + offset_of(p.n, p.h, p.w, to);
    this->chunks.each(i, [&](int c, int count) {
      auto sum = chunk_of(A(0));
      for (int64_t h = rows.begin(p.h); h < h1; ++h) {
        const A row_weight = A(rows.weight(p.h, h)) / row_total;
        for (int64_t w = w0; w < w1; ++w) {
          const A weight = row_weight * (A(columns.weight(p.w, w)) / column_total);
          const auto source = load_chunk(this->x + offset_of(p.n, h, w, from) + c, count, this->aligned);
          for (int k = 0; k < kChunk; ++k) sum[k] += weight * source[k];
        }
      }
      store_chunk(target + c, sum, count, this->aligned);
    });
  }
};

template <class T>
struct BilinearBackward : Resample<T> {
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Shape &from = this->from, &to = this->to;  // of dy, of dx
    const PixelPlace p = place_of(this->chunks.pixel(i), to);
    const TriangleAxis rows{to.h, from.h}, columns{to.w, from.w};
    const TriangleAxis row_readers = rows.transposed(), column_readers = columns.transposed();
    const int64_t h1 = row_readers.end(p.h), w0 = column_readers.begin(p.w), w1 = column_readers.end(p.w);
    T* target = this->y + offset_of(p.n, p.h, p.w, to);
    this->chunks.each(i, [&](int c, int count) {
      auto sum = chunk_of(A(0));
      for (int64_t h = row_readers.begin(p.h); h < h1; ++h) {
        const A row_weight = A(rows.weight(h, p.h)) / A(rows.total(h));
        for (int64_t w = w0; w < w1; ++w) {
          const A weight = row_weight * (A(columns.weight(w, p.w)) / A(columns.total(w)));
          const auto dy = load_chunk(this->x + offset_of(p.n, h, w, from) + c, count, this->aligned);
          for (int k = 0; k < kChunk; ++k) sum[k] += weight * dy[k];
        }
      }
      store_gradient(target + c, sum, count, this->aligned, this->accumulate);
    });
  }
};

void check_pair(const char* name, const Tensor& a, const Tensor& b) {
  TT_CHECK(a.shape.n == b.shape.n && a.shape.c == b.shape.c && a.dtype == b.dtype, ShapeError, name, ": ",
           to_string(a.shape), " of ", name_of(a.dtype), " and ", to_string(b.shape), " of ", name_of(b.dtype),
           " must share batch, channels and type");
  TT_CHECK(b.shape.numel() == 0 || a.shape.numel() > 0, ShapeError, name, ": nothing to read in ", to_string(a.shape));
}

template <template <class> class Kernel>
void run(Stream& s, Tensor x, Tensor y, bool accumulate = false) {
  visit_float(y.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const ChannelChunks chunks(s, y.shape.c);
    const bool aligned = all_aligned({x.data, y.data}) && size_t(y.shape.c) * sizeof(T) % 16 == 0;
    const Resample<T> common{x.as<const T>(), y.as<T>(), x.shape, y.shape, chunks, aligned, accumulate};
    for_each(s, y.shape.rows() * chunks.per_pixel, Kernel<T>{common}, chunks.size);
  });
}

}  // namespace

void nearest_forward(Stream& s, Tensor x, Tensor y) {
  check_pair("nearest_forward", x, y);
  run<Nearest<FloorAxis>::Forward>(s, x, y);
}

void nearest_backward(Stream& s, Tensor dy, Tensor dx, GradMode mode) {
  if (mode == GradMode::ignore) return;
  check_pair("nearest_backward", dy, dx);
  run<Nearest<FloorAxis>::Backward>(s, dy, dx, mode == GradMode::accumulate);
}

void nearest_aligned_forward(Stream& s, Tensor x, Tensor y) {
  check_pair("nearest_aligned_forward", x, y);
  run<Nearest<AlignedAxis>::Forward>(s, x, y);
}

void nearest_aligned_backward(Stream& s, Tensor dy, Tensor dx, GradMode mode) {
  if (mode == GradMode::ignore) return;
  check_pair("nearest_aligned_backward", dy, dx);
  run<Nearest<AlignedAxis>::Backward>(s, dy, dx, mode == GradMode::accumulate);
}

void bilinear_forward(Stream& s, Tensor x, Tensor y) {
  check_pair("bilinear_forward", x, y);
  run<BilinearForward>(s, x, y);
}

void bilinear_backward(Stream& s, Tensor dy, Tensor dx, GradMode mode) {
  if (mode == GradMode::ignore) return;
  check_pair("bilinear_backward", dy, dx);
  run<BilinearBackward>(s, dy, dx, mode == GradMode::accumulate);
}

}  // namespace telltale
