#include "kernels/conv/narrow/tiles.h"

namespace telltale::narrow {
namespace {

using Vector = float __attribute__((vector_size(kLanes * sizeof(float))));

/// Where a vector lies in memory: anywhere. (A vector type of lesser alignment would do for GCC; Clang forgets it
/// inside templates.)
struct __attribute__((packed, may_alias)) InMemory {
  Vector v;
};
inline Vector load(const float* from) { return reinterpret_cast<const InMemory*>(from)->v; }
inline void store(float* to, const Vector& v) { reinterpret_cast<InMemory*>(to)->v = v; }

/// Pixels of one tile: enough sums to hide the latency of a fused multiply-add on two ports, few enough for registers.
constexpr int pixels_of(int vectors) { return vectors == 1 ? 16 : vectors == 4 ? 4 : 8; }

template <int kStep, int kVectors>
void multiply(int channels, const Tap* taps, int count, int pixels, float* y) {
  constexpr int kTile = pixels_of(kVectors), kWide = kVectors * kLanes;
  for (int first = 0; first < pixels; first += kTile) {
    Vector sum[kTile][kVectors] = {};
    for (const Tap* tap = taps; tap != taps + count; ++tap) {
      const float* x = tap->x + first * kStep;
      const float* w = tap->w;
      for (const float* end = x + channels; x != end; ++x, w += kWide) {
        Vector weight[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) weight[v] = load(w + v * kLanes);
#pragma GCC unroll 16
        for (int p = 0; p < kTile; ++p) {
          const float one = x[p * kStep];
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) sum[p][v] += one * weight[v];
        }
      }
    }
    float* to = y + first * kWide;
#pragma GCC unroll 16
    for (int p = 0; p < kTile; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) store(to + p * kWide + v * kLanes, sum[p][v]);
    }
  }
}

template <int kVectors>
void multiply(int step, int channels, const Tap* taps, int count, int pixels, float* y) {
  switch (step) {
    case 4: return multiply<4, kVectors>(channels, taps, count, pixels, y);
    case 8: return multiply<8, kVectors>(channels, taps, count, pixels, y);
    case 16: return multiply<16, kVectors>(channels, taps, count, pixels, y);
    case 24: return multiply<24, kVectors>(channels, taps, count, pixels, y);
    case 32: return multiply<32, kVectors>(channels, taps, count, pixels, y);
    case 48: return multiply<48, kVectors>(channels, taps, count, pixels, y);
    default: return multiply<64, kVectors>(channels, taps, count, pixels, y);
  }
}

/// kVectors vectors of pixels.
template <int kResults, int kVectors>
void multiply_few(int channels, long x_plane, const Tap* taps, int count, long first, float* y, long y_plane) {
  Vector sum[kVectors][kResults] = {};
  for (const Tap* tap = taps; tap != taps + count; ++tap) {
    const float* x = tap->x + first;
    const float* w = tap->w;
    for (int c = 0; c < channels; ++c, x += x_plane, w += kResults) {
      Vector pixel[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) pixel[v] = load(x + v * kLanes);
#pragma GCC unroll 8
      for (int k = 0; k < kResults; ++k) {
        const float weight = w[k];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sum[v][k] += weight * pixel[v];
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 8
    for (int k = 0; k < kResults; ++k) store(y + k * y_plane + first + v * kLanes, sum[v][k]);
  }
}

template <int kResults>
void multiply_few(int channels, long x_plane, const Tap* taps, int count, int pixels, float* y, long y_plane) {
  constexpr int kMany = kFewPixels / kLanes, kLess = kMany / 2;
  int first = 0;
  for (; pixels - first > kLess * kLanes; first += kMany * kLanes)
    multiply_few<kResults, kMany>(channels, x_plane, taps, count, first, y, y_plane);
  if (first < pixels) multiply_few<kResults, kLess>(channels, x_plane, taps, count, first, y, y_plane);
}

/// kChannels channels of each of kSources rows at once.
template <int kSources, int kChannels, int kVectors>
void add(int step, const float* const* x, const float* dy, int pixels, float* dw, long dw_step) {
  constexpr int kWide = kVectors * kLanes;
  Vector sum[kSources][kChannels][kVectors];
  const float* from[kSources];
#pragma GCC unroll 4
  for (int j = 0; j < kSources; ++j) {
    from[j] = x[j];
#pragma GCC unroll 16
    for (int c = 0; c < kChannels; ++c) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[j][c][v] = load(dw + j * dw_step + c * kWide + v * kLanes);
    }
  }
  for (int p = 0; p < pixels; ++p) {
    Vector gradient[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) gradient[v] = load(dy + v * kLanes);
#pragma GCC unroll 4
    for (int j = 0; j < kSources; ++j) {
#pragma GCC unroll 16
      for (int c = 0; c < kChannels; ++c) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sum[j][c][v] += from[j][c] * gradient[v];
      }
      from[j] += step;
    }
    dy += kWide;
  }
#pragma GCC unroll 4
  for (int j = 0; j < kSources; ++j) {
#pragma GCC unroll 16
    for (int c = 0; c < kChannels; ++c) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) store(dw + j * dw_step + c * kWide + v * kLanes, sum[j][c][v]);
    }
  }
}

/// As many rows and channels at once as registers hold sums.
template <int kVectors>
void add(int step, int channels, const float* const* x, int sources, const float* dy, int pixels, float* dw,
         long dw_step) {
  constexpr int kMany = kVectors == 1 ? 16 : kVectors == 4 ? 4 : 8;
  if (channels <= 4 && kVectors <= 2) {
    for (; sources >= 3; sources -= 3, x += 3, dw += 3 * dw_step) {
      if (channels <= 3) {
        add<3, 3, kVectors>(step, x, dy, pixels, dw, dw_step);
      } else {
        add<3, 4, kVectors>(step, x, dy, pixels, dw, dw_step);
      }
    }
    if (sources == 2) return add<2, 4, kVectors>(step, x, dy, pixels, dw, dw_step);
  }
  for (int j = 0; j < sources; ++j) {
    int c = 0;
    const auto advance = [&](auto add_some, int some) {
      const float* from = x[j] + c;
      add_some(step, &from, dy, pixels, dw + j * dw_step + c * kVectors * kLanes, dw_step);
      return c + some;
    };
    while (channels - c > kMany / 2) c = advance(add<1, kMany, kVectors>, kMany);
    while (channels - c > 0) c = advance(add<1, kMany / 2, kVectors>, kMany / 2);
  }
}

}  // namespace

bool available() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

void multiply_row(int step, int vectors, int channels, const Tap* taps, int count, int pixels, float* y) {
  switch (vectors) {
    case 1: return multiply<1>(step, channels, taps, count, pixels, y);
    case 2: return multiply<2>(step, channels, taps, count, pixels, y);
    case 3: return multiply<3>(step, channels, taps, count, pixels, y);
    default: return multiply<4>(step, channels, taps, count, pixels, y);
  }
}

void multiply_few(int results, int channels, long x_plane, const Tap* taps, int count, int pixels, float* y,
                  long y_plane) {
  switch (results) {
    case 1: return multiply_few<1>(channels, x_plane, taps, count, pixels, y, y_plane);
    case 2: return multiply_few<2>(channels, x_plane, taps, count, pixels, y, y_plane);
    case 3: return multiply_few<3>(channels, x_plane, taps, count, pixels, y, y_plane);
    case 4: return multiply_few<4>(channels, x_plane, taps, count, pixels, y, y_plane);
    case 5: return multiply_few<5>(channels, x_plane, taps, count, pixels, y, y_plane);
    default: return multiply_few<6>(channels, x_plane, taps, count, pixels, y, y_plane);
  }
}

void add_gradient(int step, int vectors, int channels, const float* const* x, int sources, const float* dy, int pixels,
                  float* dw, long dw_step) {
  switch (vectors) {
    case 1: return add<1>(step, channels, x, sources, dy, pixels, dw, dw_step);
    case 2: return add<2>(step, channels, x, sources, dy, pixels, dw, dw_step);
    case 3: return add<3>(step, channels, x, sources, dy, pixels, dw, dw_step);
    default: return add<4>(step, channels, x, sources, dy, pixels, dw, dw_step);
  }
}

}  // namespace telltale::narrow
