#include "kernels/conv/narrow/convolution.h"

#include <omp.h>

#include <cstring>
#include <vector>

#include "kernels/conv/narrow/rows.h"
#include "kernels/parts/math.h"

namespace telltale::narrow {
namespace {

constexpr int kMostChannels = kMostVectors * kLanes;

constexpr size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
/// Rounded down.
int floor_div(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/// A filter column, and where in a source plane the first of a run of results reads it.
struct ColumnTap {
  int s, plane, shift;
};
/// Results first, first + stride, …: they read the same taps at places that move one pixel for each.
struct Run {
  int first = 0, count = 0;
  std::vector<ColumnTap> taps;
};

/// The convolution, or its gradient for x, as sums over a source's rows.
class Sweep {
 public:
  Sweep(const Shape& x, const Shape& w, const Shape& y, const ConvGeometry& g, bool backward, bool may_be_few = true)
      : source_(backward ? y : x),
        result_(backward ? x : y),
        g_(g),
        rows_(w.h),
        columns_(w.w),
        backward_(backward),
        few_(may_be_few && result_.c <= kFew) {
    const int stride = backward ? g.stride : 1;
    for (int first = 0; first < stride && first < result_.w; ++first) {
      Run run{first, (result_.w - first + stride - 1) / stride, {}};
      for (int i = 0; i < columns_; ++i) add_tap(run, in_order(i, columns_));
      runs_.push_back(std::move(run));
    }
    lay_out();
  }
  /// The i-th of `count` filter rows or columns, so that what they read of the source goes up.
  int in_order(int i, int count) const { return backward_ ? count - 1 - i : i; }
  /// The source's row that a result's row reads by filter row r, or -1.
  int source_row(int row, int r) const {
    int from = row * g_.stride + r * g_.dilation - g_.pad;
    if (backward_) {
      from = row + g_.pad - r * g_.dilation;
      if (from < 0 || from % g_.stride != 0) return -1;
      from /= g_.stride;
    }
    return from < source_.h ? from : -1;
  }
  const RowLayout& layout() const { return layout_; }
  /// Results lie side by side in a vector by pixels, not by channels.
  bool few() const { return few_; }
  /// Results that tiles of a run compute.
  int padded(int count) const {
    const int whole = few_ ? kFewPixels : kPixels;
    return (count + whole - 1) / whole * whole;
  }
  /// Weights of one tap, and results of one pixel as they are computed.
  int wide() const { return few_ ? result_.c : vectors_of(result_.c) * kLanes; }
  size_t sums_size() const { return size_t(padded(result_.w)) * size_t(wide()); }
  const Shape& source() const { return source_; }
  const Shape& result() const { return result_; }
  const std::vector<Run>& runs() const { return runs_; }
  int taps() const { return rows_ * columns_; }
  int filter_rows() const { return rows_; }
  int filter_columns() const { return columns_; }
  int stride() const { return backward_ ? g_.stride : 1; }

 private:
  void add_tap(Run& run, int s) const {
    if (backward_) {
      const int at = run.first + g_.pad - s * g_.dilation;
      if (at - floor_div(at, g_.stride) * g_.stride == 0) run.taps.push_back({s, 0, floor_div(at, g_.stride)});
    } else {
      const int at = s * g_.dilation - g_.pad, shift = floor_div(at, g_.stride);
      run.taps.push_back({s, at - shift * g_.stride, shift});
    }
  }
  void lay_out() {
    layout_.width = source_.w;
    layout_.channels = source_.c;
    layout_.by_channel = few();
    layout_.step = few() ? 1 : step_of(source_.c);
    layout_.planes = backward_ ? 1 : g_.stride;
    int last = (source_.w + layout_.planes - 1) / layout_.planes;
    for (const Run& run : runs_) {
      for (const ColumnTap& tap : run.taps) {
        layout_.margin = std::max(layout_.margin, -tap.shift);
        last = std::max(last, tap.shift + padded(run.count));
      }
    }
    layout_.plane_pixels = layout_.margin + last;
    layout_.rows = (rows_ - 1) * g_.dilation / (backward_ ? g_.stride : 1) + 1;
  }

  Shape source_, result_;
  ConvGeometry g_;
  int rows_, columns_;
  bool backward_, few_;
  std::vector<Run> runs_;
  RowLayout layout_;
};

/// What becomes of a sum before it is stored.
struct Finish {
  const float* bias = nullptr;  ///< padded to whole vectors, or null
  Tensor residual{};
  Act act = Act::none;
};

/// to[0..n) = from[0..n), n ≤ kLanes; whole and half vectors at once.
template <class T>
void copy_lanes(T* to, const T* from, int n) {
  if (n == kLanes) {
    memcpy(to, from, kLanes * sizeof(T));
  } else if (n == kLanes / 2) {
    memcpy(to, from, kLanes / 2 * sizeof(T));
  } else {
    for (int i = 0; i < n; ++i) to[i] = from[i];
  }
}

/// y's pixels first, first + stride, … of a row: sums, `wide` numbers apart, finished. Always whole vectors are
/// computed: a loop over a few channels would not be vectorised.
template <class T, bool kBias, bool kResidual>
void store_row(const float* sums, int wide, int count, int stride, int channels, const Finish& f, const T* residual,
               T* y) {
  const int64_t apart = int64_t(stride) * channels;
  const bool relu = f.act == Act::relu;
  for (int p = 0; p < count; ++p, sums += wide, y += apart) {
    for (int first = 0; first < channels; first += kLanes) {
      const int n = std::min(kLanes, channels - first);
      T old[kLanes] = {}, out[kLanes];
      if constexpr (kResidual) copy_lanes(old, residual + p * apart + first, n);
#pragma omp simd
      for (int k = 0; k < kLanes; ++k) {
        float v = sums[first + k];
        if constexpr (kBias) v += f.bias[first + k];
        if constexpr (kResidual) v += load(old[k]);
        out[k] = store<T>(relu && !(v > 0) ? 0.f : v);
      }
      copy_lanes(y + first, out, n);
    }
  }
}

template <class T>
void store_row(const float* sums, int wide, int count, int stride, int channels, const Finish& f, const T* residual,
               T* y) {
  const auto by = [&](auto bias, auto more) {
    store_row<T, bias(), more()>(sums, wide, count, stride, channels, f, residual, y);
  };
  const auto with = [&](auto bias) { residual ? by(bias, std::true_type{}) : by(bias, std::false_type{}); };
  f.bias ? with(std::true_type{}) : with(std::false_type{});
}

/// The same of sums that lie channel by channel, `plane` numbers apart.
template <class T>
void store_few(const float* sums, int plane, int count, int stride, int channels, const Finish& f, const T* residual,
               T* y) {
  const int64_t apart = int64_t(stride) * channels;
  const bool relu = f.act == Act::relu;
  for (int k = 0; k < channels; ++k, sums += plane) {
    for (int p = 0; p < count; ++p) {
      float v = sums[p];
      if (f.bias) v += f.bias[k];
      if (residual) v += load(residual[p * apart + k]);
      y[p * apart + k] = store<T>(relu && !(v > 0) ? 0.f : v);
    }
  }
}

/// The rows that a thread of a team takes, of `rows` in all.
struct Share {
  int64_t first, last;
  explicit Share(int64_t rows)
      : first(rows * omp_get_thread_num() / omp_get_num_threads()),
        last(rows * (omp_get_thread_num() + 1) / omp_get_num_threads()) {}
};

/// result = finish(Σ source · w), w as multiply_row wants each tap's, taps in the filter's order.
template <class T>
void sweep(Stream& s, const Sweep& z, const T* source, const float* w, size_t tap_size, const Finish& finish, T* result,
           char* scratch) {
  const RowLayout& layout = z.layout();
  const int channels = z.result().c, vectors = vectors_of(channels), wide = z.wide();
  const size_t room = aligned(layout.size() * sizeof(float)), held = aligned(size_t(layout.rows) * sizeof(int64_t));
  const size_t each = room + held + aligned(z.sums_size() * sizeof(float));
  const int64_t rows = int64_t(z.result().n) * z.result().h;
#pragma omp parallel num_threads(s.threads())
  {
    char* own = scratch + size_t(omp_get_thread_num()) * each;
    RowWindow<T> window(layout, source, reinterpret_cast<float*>(own), reinterpret_cast<int64_t*>(own + room));
    float* sums = reinterpret_cast<float*>(own + room + held);
    std::vector<Tap> taps(size_t(z.taps()));
    const Share share(rows);
    for (int64_t row = share.first; row < share.last; ++row) {
      const int64_t image = row / z.result().h;
      for (const Run& run : z.runs()) {
        int count = 0;
        for (int i = 0; i < z.filter_rows(); ++i) {
          const int r = z.in_order(i, z.filter_rows()), from = z.source_row(int(row - image * z.result().h), r);
          if (from < 0) continue;
          for (const ColumnTap& tap : run.taps) {
            const float* plane = window.plane(image * z.source().h + from, tap.plane);
            taps[size_t(count++)] = {plane + int64_t(tap.shift) * layout.step,
                                     w + size_t(r * z.filter_columns() + tap.s) * tap_size};
          }
        }
        const int64_t at = (row * z.result().w + run.first) * channels;
        const T* residual = finish.residual ? finish.residual.as<T>() + at : nullptr;
        if (z.few()) {
          const int plane = z.padded(run.count);
          multiply_few(channels, layout.channels, layout.plane_pixels, taps.data(), count, run.count, sums, plane);
          store_few(sums, plane, run.count, z.stride(), channels, finish, residual, result + at);
        } else {
          multiply_row(layout.step, vectors, layout.channels, taps.data(), count, run.count, sums);
          store_row(sums, wide, run.count, z.stride(), channels, finish, residual, result + at);
        }
      }
    }
  }
}

size_t sweep_bytes(const Stream& s, const Sweep& z) {
  return size_t(s.threads()) *
         (aligned(z.layout().size() * sizeof(float)) + aligned(size_t(z.layout().rows) * sizeof(int64_t)) +
          aligned(z.sums_size() * sizeof(float)));
}

/// Taps of a filter {K,R,S,C} as multiply_row or multiply_few wants them: channels to channels of the other side.
template <class T>
void lay_taps(const T* w, const Shape& shape, bool backward, int wide, float* to) {
  const int64_t taps = int64_t(shape.h) * shape.w;
  const int in = backward ? shape.n : shape.c;
  std::fill(to, to + taps * in * wide, 0.f);
  for (int64_t k = 0; k < shape.n; ++k) {
    for (int64_t t = 0; t < taps; ++t) {
      const T* from = w + (k * taps + t) * shape.c;
      float* tap = to + t * in * wide;
      for (int64_t c = 0; c < shape.c; ++c) tap[backward ? k * wide + c : c * wide + k] = load(from[c]);
    }
  }
}

void run(Stream& s, const Sweep& z, Tensor source, Tensor w, Finish finish, Tensor result, bool backward) {
  float bias[kMostChannels] = {};
  if (finish.bias) {
    std::copy_n(finish.bias, z.result().c, bias);
    finish.bias = bias;
  }
  const size_t tap_size = size_t(z.source().c) * size_t(z.wide());
  const size_t filter = aligned(tap_size * size_t(z.taps()) * sizeof(float));
  char* scratch = s.workspace(filter + sweep_bytes(s, z)).as<char>();
  float* taps = reinterpret_cast<float*>(scratch);
  visit_float(source.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    lay_taps(w.as<T>(), w.shape, backward, z.wide(), taps);
    sweep(s, z, source.as<T>(), taps, tap_size, finish, result.as<T>(), scratch + filter);
  });
}

/// dw of one thread's share of dy's rows, added to `sums`: {taps, padded channels, vectors} numbers.
template <class T>
void add_rows(const Sweep& z, RowWindow<T>& x, RowWindow<T>& dy, float* sums, int64_t tap_size) {
  constexpr int kRun = 64;  // pixels: what the taps of a run read stays in the nearest cache
  const RowLayout& layout = z.layout();
  const Run& run = z.runs()[0];
  const int vectors = vectors_of(z.result().c), wide = vectors * kLanes;
  std::vector<const float*> sources(run.taps.size());
  const Share share(int64_t(z.result().n) * z.result().h);
  for (int64_t row = share.first; row < share.last; ++row) {
    const int64_t image = row / z.result().h;
    const float* gradient = dy.plane(row, 0);
    for (int first = 0; first < run.count; first += kRun) {
      const int pixels = std::min(kRun, run.count - first);
      for (int r = 0; r < z.filter_rows(); ++r) {
        const int from = z.source_row(int(row - image * z.result().h), r);
        if (from < 0) continue;
        for (size_t j = 0; j < sources.size(); ++j) {
          const ColumnTap& tap = run.taps[j];
          sources[j] = x.plane(image * z.source().h + from, tap.plane) + int64_t(tap.shift + first) * layout.step;
        }
        add_gradient(layout.step, vectors, layout.channels, sources.data(), int(sources.size()),
                     gradient + int64_t(first) * wide, pixels, sums + r * z.filter_columns() * tap_size, tap_size);
      }
    }
  }
}

}  // namespace

bool fits(const Shape& x, const Shape& w, DType t) {
  return t != DType::f64 && available() && x.c <= kMostChannels && w.n <= kMostChannels && x.numel() > 0;
}

bool is_few(int result_channels) { return result_channels <= kFew; }

void forward(Stream& s, const ConvArgs& a) {
  const Sweep z(a.x.shape, a.w.shape, a.y.shape, a.geometry, false);
  run(s, z, a.x, a.w, {a.bias.as<float>(), a.residual, a.act}, a.y, false);
}

void input_gradient(Stream& s, const ConvGradArgs& a) {
  const Sweep z(a.x.shape, a.w.shape, a.dy.shape, a.geometry, true);
  Finish finish;
  if (a.dx_mode == GradMode::accumulate) finish.residual = a.dx;
  run(s, z, a.dy, a.w, finish, a.dx, true);
}

void filter_gradient(Stream& s, const ConvGradArgs& a) {
  const Sweep z(a.x.shape, a.w.shape, a.dy.shape, a.geometry, false, false);
  const Shape& w = a.w.shape;
  const int wide = vectors_of(w.n) * kLanes;
  const int64_t tap_size = int64_t(vectors_of(w.c)) * kLanes * wide, size = z.taps() * tap_size;
  RowLayout dy_rows{.width = a.dy.shape.w, .channels = w.n, .step = wide};
  dy_rows.plane_pixels = dy_rows.width;
  const size_t x_room = aligned(z.layout().size() * sizeof(float)),
               x_held = aligned(size_t(z.layout().rows) * sizeof(int64_t)),
               dy_room = aligned(dy_rows.size() * sizeof(float)), dy_held = aligned(sizeof(int64_t)),
               sums_room = aligned(size_t(size) * sizeof(float)),
               each = x_room + x_held + dy_room + dy_held + sums_room;
  char* scratch = s.workspace(each * size_t(s.threads())).as<char>();
  const auto sums_of = [&](int thread) {
    return reinterpret_cast<float*>(scratch + size_t(thread) * each + (each - sums_room));
  };
  int team = 1;
  visit_float(a.x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
#pragma omp parallel num_threads(s.threads())
    {
#pragma omp single nowait
      team = omp_get_num_threads();
      char* own = scratch + size_t(omp_get_thread_num()) * each;
      const auto numbers = [](char* p) { return reinterpret_cast<float*>(p); };
      const auto indices = [](char* p) { return reinterpret_cast<int64_t*>(p); };
      RowWindow<T> x(z.layout(), a.x.as<T>(), numbers(own), indices(own + x_room));
      char* after = own + x_room + x_held;
      RowWindow<T> dy(dy_rows, a.dy.as<T>(), numbers(after), indices(after + dy_room));
      float* sums = sums_of(omp_get_thread_num());
      std::fill(sums, sums + size, 0.f);
      add_rows(z, x, dy, sums, tap_size);
    }
  });
  float* dw = a.dw.as<float>();
  const bool accumulate = a.dw_mode == GradMode::accumulate;
  for (int64_t k = 0; k < w.n; ++k) {
    for (int64_t t = 0; t < z.taps(); ++t) {
      for (int64_t c = 0; c < w.c; ++c, ++dw) {
        float total = 0;
        for (int i = 0; i < team; ++i) total += sums_of(i)[t * tap_size + c * wide + k];
        *dw = accumulate ? *dw + total : total;
      }
    }
  }
}

}  // namespace telltale::narrow
