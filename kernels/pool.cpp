// The host's max pooling of the nets' windows: a pixel of y at a time, so that its place is found once for all
// channels.
#include "kernels/pool.h"

#include <limits>
#include <vector>

#include "kernels/pool_max.h"

namespace telltale::cpu {
namespace {

/// T's numbers as integers in the same order: their comparisons take no branch, and in 16 bits a register holds twice
/// as many. Both zeros are 0; a NaN is the largest integer, so that it beats every number and gives way to nothing.
template <class T>
struct Order {
  using Bits = std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;
  using Key = std::make_signed_t<Bits>;
  static constexpr int kMantissa = std::is_same_v<T, bf16> ? 7 : std::is_same_v<T, f16> ? 10 : sizeof(T) == 4 ? 23 : 52;
  static constexpr Key kNaN = std::numeric_limits<Key>::max(), kInfinity = Key(Key(kNaN >> kMantissa) << kMantissa);
  static constexpr Bits kSign = Bits(Bits(kNaN) + 1), kQuietNaN = Bits(kInfinity | Key(1) << (kMantissa - 1));

  static Key key(Bits bits) {
    const Key magnitude = Key(bits & Bits(kNaN)), sign = Key(Key(bits) >> (8 * sizeof(T) - 1));
    return magnitude > kInfinity ? kNaN : Key((magnitude ^ sign) - sign);
  }
  static Bits number(Key k) {
    const Key sign = Key(k >> (8 * sizeof(T) - 1));
    return k == kNaN ? kQuietNaN : Bits(Bits((k ^ sign) - sign) | (Bits(sign) & kSign));
  }
  static Bits relu(Key k) { return ((k > 0) & (k != kNaN)) ? Bits(k) : Bits(0); }
};

/// The pixels of a window in row order, and their positions in it.
template <class Bits, int kTaps>
struct Taps {
  const Bits* pixel[kTaps];
  int position[kTaps];
};

/// Of n ≤ kAtOnce channels. What one loop touches has one width: with argmax's bytes in it, the compiler would go by as
/// many channels as a register holds bytes, and run out of registers.
constexpr int kAtOnce = 128;
template <class T, int kTaps, bool kRelu, bool kArgmax>
void largest(Taps<typename Order<T>::Bits, kTaps> taps, int first, int n, typename Order<T>::Bits* y, uint8_t* argmax) {
  using O = Order<T>;
  using Key = typename O::Key;
  Key places[kAtOnce];
#pragma omp simd
  for (int i = 0; i < n; ++i) {
    Key best = O::key(taps.pixel[0][first + i]);
    Key at = Key(taps.position[0]);
#pragma GCC unroll 16
    for (int t = 1; t < kTaps; ++t) {
      const Key v = O::key(taps.pixel[t][first + i]);
      const bool take = v > best;
      best = take ? v : best;
      if constexpr (kArgmax) at = take ? Key(taps.position[t]) : at;
    }
    const auto number = kRelu ? O::relu(best) : O::number(best);
    y[i] = number;
    if constexpr (kArgmax) places[i] = !kRelu || number != 0 ? at : Key(kNoPosition);
  }
  if constexpr (kArgmax) {
#pragma omp simd
    for (int i = 0; i < n; ++i) argmax[i] = uint8_t(places[i]);
  }
}

template <int kSize, class T>
void forward(Stream& s, const PoolArgs& a) {
  const Shape in = a.x.shape, out = a.y.shape;
  const FixedWindows<> rows{in.h, out.h, a.size, a.stride, a.pad}, columns{in.w, out.w, a.size, a.stride, a.pad};
  constexpr int kTaps = kSize * kSize;
  using Bits = typename Order<T>::Bits;
  const bool relu = a.act == Act::relu;
  const auto write = a.argmax ? (relu ? largest<T, kTaps, true, true> : largest<T, kTaps, false, true>)
                              : (relu ? largest<T, kTaps, true, false> : largest<T, kTaps, false, false>);
  const int64_t lines = int64_t(out.n) * out.h;
#pragma omp parallel for num_threads(s.threads()) if (a.x.shape.numel() > 16384)
  for (int64_t line = 0; line < lines; ++line) {
    const int h = int(line % out.h);
    const Bits* image = reinterpret_cast<const Bits*>(a.x.data) + line / out.h * in.h * in.w * in.c;
    for (int w = 0; w < out.w; ++w) {
      // A real pixel in place of one beyond the border changes neither the maximum nor its first place.
      Taps<Bits, kTaps> taps;
      for (int t = 0; t < kTaps; ++t) {
        const int row = rows.real_tap(h, t / kSize), column = columns.real_tap(w, t % kSize);
        taps.pixel[t] = image + (int64_t(rows.start(h) + row) * in.w + columns.start(w) + column) * in.c;
        taps.position[t] = row * kSize + column;
      }
      const int64_t o = (line * out.w + w) * out.c;
      for (int c = 0; c < out.c; c += kAtOnce) {
        write(taps, c, std::min(kAtOnce, out.c - c), static_cast<Bits*>(a.y.data) + o + c,
              a.argmax ? a.argmax.as<uint8_t>() + o + c : nullptr);
      }
    }
  }
}

/// Over a block of stride·stride pixels of dx lie the same few windows (MaxPoolBlockGradient, the device's form).
template <int kSize, class T>
void backward(Stream& s, const PoolArgs& a) {
  using A = acc_t<T>;
  constexpr int kStride = 2, kOver = (kSize + kStride - 1) / kStride;  // windows of a side over a block
  const Shape in = a.dx.shape, out = a.dy.shape;
  const int block_rows = (in.h - 1 + a.pad) / kStride + 1, block_columns = (in.w - 1 + a.pad) / kStride + 1;
  const bool accumulate = a.dx_mode == GradMode::accumulate;
  const std::vector<uint8_t> nowhere(size_t(in.c), kNoPosition);  // for windows beyond the border
#pragma omp parallel for num_threads(s.threads()) if (in.numel() > 16384)
  for (int64_t line = 0; line < int64_t(in.n) * block_rows; ++line) {
    const int64_t n = line / block_rows;
    const int row = int(line % block_rows);
    for (int column = 0; column < block_columns; ++column) {
      const T* dy[kOver * kOver];
      const uint8_t* argmax[kOver * kOver];
      T* dx[kStride * kStride];
      for (int k = 0; k < kOver * kOver; ++k) {
        const int h = row - (kOver - 1 - k / kOver), w = column - (kOver - 1 - k % kOver);
        const bool real = h >= 0 && h < out.h && w >= 0 && w < out.w;
        const int64_t o = real ? ((n * out.h + h) * out.w + w) * out.c : 0;
        dy[k] = a.dy.as<T>() + o;
        argmax[k] = real ? a.argmax.as<uint8_t>() + o : nowhere.data();
      }
      for (int k = 0; k < kStride * kStride; ++k) {
        const int h = row * kStride - a.pad + k / kStride, w = column * kStride - a.pad + k % kStride;
        const bool real = h >= 0 && h < in.h && w >= 0 && w < in.w;
        dx[k] = real ? a.dx.as<T>() + ((n * in.h + h) * in.w + w) * in.c : nullptr;
      }
      const auto step = [&](int c, auto count) {
        Chunk<A> sums[kStride * kStride] = {};
#pragma GCC unroll 4
        for (int window = 0; window < kOver * kOver; ++window) {
          const Chunk<A> g = load_chunk(dy[window] + c, count, true);
          const Chunk<int> at = load_positions(argmax[window] + c, count, true);
#pragma GCC unroll 4
          for (int pixel = 0; pixel < kStride * kStride; ++pixel) {
            const int h = (kOver - 1 - window / kOver) * kStride + pixel / kStride;
            const int w = (kOver - 1 - window % kOver) * kStride + pixel % kStride;
            if (h >= kSize || w >= kSize) continue;
            Chunk<A>& sum = sums[pixel];
            each_in_chunk([&](int k) { sum[k] += at[k] == h * kSize + w ? g[k] : A(0); });
          }
        }
#pragma GCC unroll 4
        for (int pixel = 0; pixel < kStride * kStride; ++pixel) {
          if (dx[pixel]) store_gradient(dx[pixel] + c, sums[pixel], count, true, accumulate);
        }
      };
      int c = 0;
      for (; c + kChunk <= in.c; c += kChunk) step(c, std::integral_constant<int, kChunk>());
      if (c < in.c) step(c, in.c - c);
    }
  }
}

/// AvgPoolGradient of many channels at once.
template <class T, class Windows>
void average_backward(Stream& s, const PoolArgs& a, const Windows& rows, const Windows& columns) {
  using A = acc_t<T>;
  const Shape in = a.dx.shape, out = a.dy.shape;
  const bool accumulate = a.dx_mode == GradMode::accumulate;
#pragma omp parallel for num_threads(s.threads()) if (in.numel() > 16384)
  for (int64_t line = 0; line < int64_t(in.n) * in.h; ++line) {
    const T* image = a.dy.as<T>() + line / in.h * out.h * out.w * out.c;
    const Range r = rows.of_input(int(line % in.h));
    for (int column = 0; column < in.w; ++column) {
      const Range q = columns.of_input(column);
      T* dx = a.dx.as<T>() + (line * in.w + column) * in.c;
      for (int c = 0; c < in.c; c += kAtOnce) {
        const int n = std::min(kAtOnce, in.c - c);
        A sum[kAtOnce] = {};
        for (int h = r.first; h < r.last; ++h) {
          const int height = rows.of_output(h).size();
          for (int w = q.first; w < q.last; ++w) {
            const A share = A(1) / A(height * columns.of_output(w).size());
            const T* dy = image + (int64_t(h) * out.w + w) * out.c + c;
#pragma omp simd
            for (int k = 0; k < n; ++k) sum[k] += load(dy[k]) * share;
          }
        }
        if (accumulate) {
#pragma omp simd
          for (int k = 0; k < n; ++k) sum[k] += load(dx[c + k]);
        }
#pragma omp simd
        for (int k = 0; k < n; ++k) dx[c + k] = store<T>(sum[k]);
      }
    }
  }
}

}  // namespace

void avg_pool_backward(Stream& s, const PoolArgs& a) {
  const Shape in = a.dx.shape, out = a.dy.shape;
  visit_float(a.dx.dtype, [&]<class T>(Tag<T>) {
    average_backward<T>(s, a, FixedWindows<>{in.h, out.h, a.size, a.stride, a.pad},
                        FixedWindows<>{in.w, out.w, a.size, a.stride, a.pad});
  });
}
void adaptive_avg_pool_backward(Stream& s, const PoolArgs& a) {
  const Shape in = a.dx.shape, out = a.dy.shape;
  visit_float(a.dx.dtype, [&]<class T>(Tag<T>) {
    average_backward<T>(s, a, AdaptiveWindows{in.h, out.h}, AdaptiveWindows{in.w, out.w});
  });
}
bool max_pool_forward(Stream& s, const PoolArgs& a) {
  if (a.size != 2 && a.size != 3) return false;
  visit_float(a.x.dtype, [&]<class T>(Tag<T>) { a.size == 2 ? forward<2, T>(s, a) : forward<3, T>(s, a); });
  return true;
}

bool max_pool_backward(Stream& s, const PoolArgs& a) {
  if ((a.size != 2 && a.size != 3) || a.stride != 2) return false;
  visit_float(a.dx.dtype, [&]<class T>(Tag<T>) { a.size == 2 ? backward<2, T>(s, a) : backward<3, T>(s, a); });
  return true;
}

}  // namespace telltale::cpu
