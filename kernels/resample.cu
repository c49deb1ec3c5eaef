#include "kernels/device/launch.h"
#include "kernels/parts/channel_chunks.h"
#include "kernels/resample.h"

namespace telltale {
namespace {

TT_HD inline int64_t offset_of(int64_t n, int64_t h, int64_t w, const Shape& s) {
  return ((n * s.h + h) * s.w + w) * s.c;
}

/// What every kernel here knows: one output pixel, or a chunk of it, is one index.
template <class T, class Axis>
struct Resample {
  const T* x;
  T* y;
  Shape from, to;
  Axis rows, columns;  ///< of the forward pass, in both directions
  Divisor height, width;
  ChannelChunks chunks;
  bool aligned, accumulate;

  struct Place {
    int64_t pixel, n;
    int h, w;
  };
  TT_HD Place place_of(int64_t i) const {
    const int64_t pixel = chunks.pixel(i), row = width.quotient(pixel), n = height.quotient(row);
    return {pixel, n, int(row - n * to.h), int(pixel - row * to.w)};
  }
  /// Calls f(c, count, whole) for the index's chunks. `whole`, an aligned chunk of eight, is known to the compiler: in
  /// a loop over taps a choice between loads would keep it from having two taps under way.
  template <class F>
  TT_HD void each(int64_t i, const Place& p, const F& f) const {
    chunks.each(i, p.pixel, [&](int c, int count) {
      if (aligned && count == kChunk) {
        f(c, kChunk, true);
      } else {
        f(c, count, false);
      }
    });
  }
};

/// Which input an output reads along one axis: floor(o·in/out).
struct FloorAxis {
  Divisor in, out;
  FloorAxis(int in, int out) : in(in), out(out) {}
  TT_HD int64_t source(int64_t o) const { return out.quotient(o * in.d); }
  /// The first output that reads input i or a later one.
  TT_HD int64_t begin(int64_t i) const { return in.quotient(i * out.d + in.d - 1); }
};
/// The input nearest to o·(in − 1)/(out − 1), the later one of two.
struct AlignedAxis {
  int in, out;
  Divisor in_steps, out_steps;  // in half steps
  AlignedAxis(int in, int out) : in(in), out(out), in_steps(2 * (in - 1)), out_steps(2 * (out - 1)) {}
  TT_HD int64_t source(int64_t o) const { return out == 1 ? 0 : out_steps.quotient(2 * o * (in - 1) + out - 1); }
  TT_HD int64_t begin(int64_t i) const {
    if (i == 0) return 0;
    if (in == 1) return out;
    const int64_t first = in_steps.quotient((2 * i - 1) * (out - 1) + in_steps.d - 1);
    return first < out && out > 1 ? first : out;
  }
};

template <class Axis>
struct Nearest {
  template <class T>
  struct Forward : Resample<T, Axis> {
    TT_HD void operator()(int64_t i) const {
      const auto p = this->place_of(i);
      const T* source = this->x + offset_of(p.n, this->rows.source(p.h), this->columns.source(p.w), this->from);
      T* target = this->y + p.pixel * this->to.c;
      this->chunks.each(i, p.pixel,
                        [&](int c, int count) { copy_chunk(target + c, source + c, count, this->aligned); });
    }
  };

  template <class T>
  struct Backward : Resample<T, Axis> {
    TT_HD void operator()(int64_t i) const {
      const auto p = this->place_of(i);
      const int64_t h0 = this->rows.begin(p.h), h1 = this->rows.begin(p.h + 1);
      const int64_t w0 = this->columns.begin(p.w), w1 = this->columns.begin(p.w + 1);
      T* target = this->y + p.pixel * this->to.c;
      this->each(i, p, [&](int c, int count, bool whole) {
        auto sum = chunk_of(acc_t<T>(0));
        for (int64_t h = h0; h < h1; ++h) {
          const T* source = this->x + offset_of(p.n, h, w0, this->from) + c;
#ifdef __CUDA_ARCH__
#pragma unroll 2
#endif
          for (int64_t w = w0; w < w1; ++w, source += this->from.c) {
            const auto dy = load_chunk(source, count, whole);
            each_in_chunk([&](int k) { sum[k] += dy[k]; });
          }
        }
        store_gradient(target + c, sum, count, whole, this->accumulate);
      });
    }
  };
};

void check_pair(const char* name, const Tensor& a, const Tensor& b) {
  TT_CHECK(a.shape.n == b.shape.n && a.shape.c == b.shape.c && a.dtype == b.dtype, ShapeError, name, ": ",
           to_string(a.shape), " of ", name_of(a.dtype), " and ", to_string(b.shape), " of ", name_of(b.dtype),
           " must share batch, channels and type");
  TT_CHECK(b.shape.numel() == 0 || a.shape.numel() > 0, ShapeError, name, ": nothing to read in ", to_string(a.shape));
}

template <class Axis, template <class> class Kernel>
void run(Stream& s, Tensor x, Tensor y, const Shape& in, const Shape& out, bool accumulate) {
  visit_float(y.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const ChannelChunks chunks(s, y.shape.c);
    const bool aligned = all_aligned({x.data, y.data}) && size_t(y.shape.c) * sizeof(T) % 16 == 0;
    const Resample<T, Axis> common{
        x.as<const T>(),    y.as<T>(),          x.shape, y.shape, Axis{in.h, out.h}, Axis{in.w, out.w},
        Divisor(y.shape.h), Divisor(y.shape.w), chunks,  aligned, accumulate};
    for_each(s, y.shape.rows() * chunks.per_pixel, Kernel<T>{common}, chunks.size);
  });
}
template <class Axis, template <class> class Kernel>
void run_forward(Stream& s, Tensor x, Tensor y) {
  run<Axis, Kernel>(s, x, y, x.shape, y.shape, false);
}
template <class Axis, template <class> class Kernel>
void run_backward(Stream& s, Tensor dy, Tensor dx, GradMode mode) {
  run<Axis, Kernel>(s, dy, dx, dx.shape, dy.shape, mode == GradMode::accumulate);
}

}  // namespace

void nearest_forward(Stream& s, Tensor x, Tensor y) {
  check_pair("nearest_forward", x, y);
  run_forward<FloorAxis, Nearest<FloorAxis>::Forward>(s, x, y);
}

void nearest_backward(Stream& s, Tensor dy, Tensor dx, GradMode mode) {
  if (mode == GradMode::ignore) return;
  check_pair("nearest_backward", dy, dx);
  run_backward<FloorAxis, Nearest<FloorAxis>::Backward>(s, dy, dx, mode);
}

void nearest_aligned_forward(Stream& s, Tensor x, Tensor y) {
  check_pair("nearest_aligned_forward", x, y);
  run_forward<AlignedAxis, Nearest<AlignedAxis>::Forward>(s, x, y);
}

void nearest_aligned_backward(Stream& s, Tensor dy, Tensor dx, GradMode mode) {
  if (mode == GradMode::ignore) return;
  check_pair("nearest_aligned_backward", dy, dx);
  run_backward<AlignedAxis, Nearest<AlignedAxis>::Backward>(s, dy, dx, mode);
}

}  // namespace telltale
