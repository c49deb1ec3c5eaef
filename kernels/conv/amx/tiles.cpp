#include "kernels/conv/amx/tiles.h"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace telltale::amx {
namespace {

constexpr long kNumber = sizeof(Bits);

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

void begin() {
  static const TileConfig config = [] {
    TileConfig c;
    for (int t = 0; t < 8; ++t) {
      c.row_bytes[t] = 64;
      c.rows[t] = kLanes;
    }
    return c;
  }();
  _tile_loadconfig(&config);
}
void end() { _tile_release(); }

// Tiles 0 to 3 hold sums, 4 and 5 the left factors, 6 and 7 the right ones. (Tiles are named by literals.)
template <int kLeft, int kRight>
void multiply_tiles(const Bits* x, long pixel_step, const Run* runs, int count, const Filter& filter, float* sums) {
  const Bits *first = filter.first, *second = filter.second;
  _tile_zero(0);
  if constexpr (kRight > 1) _tile_zero(1);
  if constexpr (kLeft > 1) _tile_zero(2);
  if constexpr (kLeft > 1 && kRight > 1) _tile_zero(3);
  const long row = pixel_step * kNumber, below = kLanes * pixel_step;
  for (const Run* run = runs; run != runs + count; ++run) {
    const Bits* left = x + run->offset;
    for (int step = 0; step < run->steps; ++step, left += kDepth, first += filter.step, second += filter.step) {
      _tile_loadd(4, left, row);
      _tile_loadd(6, first, 64);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (kRight > 1) {
        _tile_loadd(7, second, 64);
        _tile_dpbf16ps(1, 4, 7);
      }
      if constexpr (kLeft > 1) {
        _tile_loadd(5, left + below, row);
        _tile_dpbf16ps(2, 5, 6);
        if constexpr (kRight > 1) _tile_dpbf16ps(3, 5, 7);
      }
    }
  }
  constexpr long kRow = kBlock * sizeof(float);
  _tile_stored(0, sums, kRow);
  if constexpr (kRight > 1) _tile_stored(1, sums + kLanes, kRow);
  if constexpr (kLeft > 1) _tile_stored(2, sums + kLanes * kBlock, kRow);
  if constexpr (kLeft > 1 && kRight > 1) _tile_stored(3, sums + kLanes * kBlock + kLanes, kRow);
}

void multiply(const Bits* x, long pixel_step, const Run* runs, int count, const Filter& w, int pixel_tiles,
              float* sums) {
  const auto call = pixel_tiles == 2 ? w.second ? multiply_tiles<2, 2> : multiply_tiles<2, 1>
                    : w.second ? multiply_tiles<1, 2>
                                     : multiply_tiles<1, 1>;
  call(x, pixel_step, runs, count, w, sums);
}

__mmask16 first_lanes(int n) {
  return n >= kLanes ? __mmask16(0xffff) : n <= 0 ? __mmask16(0) : __mmask16((1u << n) - 1);
}

__m512 widen(__m256i v) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16)); }

/// Of a whole block's channels, a pixel at a time.
template <bool kResidual, bool kRelu>
void finish_whole(const float* sums, int pixels, const Finish& f, long pixel_step, Bits* y) {
  const __m512 zero = _mm512_setzero_ps();
  const __m512 bias[2] = {f.bias ? _mm512_load_ps(f.bias) : zero, f.bias ? _mm512_load_ps(f.bias + kLanes) : zero};
  const Bits* residual = f.residual;
  for (int p = 0; p < pixels; ++p, sums += kBlock, y += pixel_step) {
    __m512 v[2];
    for (int k = 0; k < 2; ++k) {
      v[k] = _mm512_add_ps(_mm512_load_ps(sums + k * kLanes), bias[k]);
      if constexpr (kResidual) v[k] = _mm512_add_ps(v[k], widen(_mm256_loadu_epi16(residual + k * kLanes)));
      if constexpr (kRelu) v[k] = _mm512_max_ps(v[k], zero);
    }
    if constexpr (kResidual) residual += pixel_step;
    _mm512_storeu_si512(y, (__m512i)_mm512_cvtne2ps_pbh(v[1], v[0]));
  }
}

void finish(const float* sums, int pixels, int channels, const Finish& f, long pixel_step, Bits* y) {
  if (channels == kBlock) {
    const auto call = f.residual ? f.relu ? finish_whole<true, true> : finish_whole<true, false>
                      : f.relu ? finish_whole<false, true>
                                 : finish_whole<false, false>;
    return call(sums, pixels, f, pixel_step, y);
  }
  const __m512 zero = _mm512_setzero_ps();
  for (int half = 0; half < channels; half += kLanes) {
    const __mmask16 lanes = first_lanes(channels - half);
    const __m512 bias = f.bias ? _mm512_load_ps(f.bias + half) : zero;
    for (int p = 0; p < pixels; ++p) {
      __m512 v = _mm512_add_ps(_mm512_load_ps(sums + p * kBlock + half), bias);
      if (f.residual) v = _mm512_add_ps(v, widen(_mm256_maskz_loadu_epi16(lanes, f.residual + p * pixel_step + half)));
      if (f.relu) v = _mm512_max_ps(v, zero);
      _mm256_mask_storeu_epi16(y + p * pixel_step + half, lanes, (__m256i)_mm512_cvtneps_pbh(v));
    }
  }
}

/// e^x − 1 = scale · expm1_r + scale − 1, by Cephes' polynomial (kernels/parts/fast_math.h has the exact form).
struct Exp {
  __m512 expm1_r, scale;
  explicit Exp(__m512 x) {
    x = _mm512_min_ps(_mm512_set1_ps(88), _mm512_max_ps(_mm512_set1_ps(-88), x));  // NaN, the second one, stays
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
    const __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(.693147181f), x);
    __m512 p = _mm512_set1_ps(8.3334519073e-3f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    expm1_r = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r);
    scale = _mm512_scalef_ps(_mm512_set1_ps(1), n);
  }
};

void gate(float* sums, int pixels, const float* bias) {
  const __m512 one = _mm512_set1_ps(1), zero = _mm512_setzero_ps();
  const __m512 value_bias = _mm512_load_ps(bias), gate_bias = _mm512_load_ps(bias + kLanes);
  for (int p = 0; p < pixels; ++p, sums += kBlock) {
    const __m512 v = _mm512_add_ps(_mm512_load_ps(sums), value_bias);
    const __m512 g = _mm512_add_ps(_mm512_load_ps(sums + kLanes), gate_bias);
    const Exp falling(_mm512_min_ps(v, zero)), closing(_mm512_sub_ps(zero, g));
    const __m512 elu = _mm512_fmadd_ps(falling.scale, falling.expm1_r, _mm512_sub_ps(falling.scale, one));
    const __m512 value = _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, zero, _CMP_LE_OQ), elu);
    const __m512 closed = _mm512_fmadd_ps(closing.scale, closing.expm1_r, closing.scale);  // e^−g
    _mm512_store_ps(sums, _mm512_mul_ps(value, _mm512_rcp14_ps(_mm512_add_ps(one, closed))));
  }
}

void add_products(const Bits* dy, long channel_step, const Bits* x, long x_step, int steps, bool first, float* sums) {
  constexpr int kSums = kLanes * kLanes;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, 64);
    _tile_loadd(1, sums + kSums, 64);
    _tile_loadd(2, sums + 2 * kSums, 64);
    _tile_loadd(3, sums + 3 * kSums, 64);
  }
  const long row = channel_step * kNumber;
  for (int step = 0; step < steps; ++step, dy += kDepth, x += kTile) {
    _tile_loadd(4, dy, row);
    _tile_loadd(6, x, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, x + x_step, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, dy + kLanes * channel_step, row);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + kSums, 64);
  _tile_stored(2, sums + 2 * kSums, 64);
  _tile_stored(3, sums + 3 * kSums, 64);
}

void transpose_pairs(const Bits* from, long from_step, Bits* to, long to_step) {
  __m512i a[kLanes], b[kLanes];
  for (int i = 0; i < kLanes; ++i) a[i] = _mm512_loadu_si512(from + i * from_step);
  for (int i = 0; i < kLanes; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  for (int i = 0; i < kLanes; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  // a[4k + m] holds, in its four quarters q, column 4q + m of rows 4k to 4k + 3.
  for (int m = 0; m < 4; ++m) {
    const __m512i low = _mm512_shuffle_i32x4(a[m], a[4 + m], 0x88), high = _mm512_shuffle_i32x4(a[m], a[4 + m], 0xdd);
    const __m512i low2 = _mm512_shuffle_i32x4(a[8 + m], a[12 + m], 0x88),
                  high2 = _mm512_shuffle_i32x4(a[8 + m], a[12 + m], 0xdd);
    _mm512_storeu_si512(to + m * to_step, _mm512_shuffle_i32x4(low, low2, 0x88));
    _mm512_storeu_si512(to + (8 + m) * to_step, _mm512_shuffle_i32x4(low, low2, 0xdd));
    _mm512_storeu_si512(to + (4 + m) * to_step, _mm512_shuffle_i32x4(high, high2, 0x88));
    _mm512_storeu_si512(to + (12 + m) * to_step, _mm512_shuffle_i32x4(high, high2, 0xdd));
  }
}

void pair_rows(const Bits* a, const Bits* b, int count, Bits* to, long to_step) {
  for (int i = 0; i < count; i += kLanes, to += to_step) {
    const __mmask16 lanes = first_lanes(count - i);
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, a + i)),
                  high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, b + i));
    _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
}

bool ask_for_tiles() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl"))
    return false;
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kAmx = 1u << 22 | 1u << 24;  // AMX-BF16 and AMX-TILE
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kAmx) != kAmx) return false;
  constexpr long kGet = 0x1022, kRequest = 0x1023, kTileData = 18;  // of arch_prctl: ARCH_…_XCOMP_PERM
  unsigned long allowed = 0;
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0 && syscall(SYS_arch_prctl, kGet, &allowed) == 0 &&
         (allowed >> kTileData & 1) == 1;
}

}  // namespace

const Loops* by_hardware() {
  static constexpr Loops kLoops{begin, end, multiply, finish, gate, add_products, transpose_pairs, pair_rows};
  static const bool has_tiles = ask_for_tiles();
  return has_tiles ? &kLoops : nullptr;
}

}  // namespace telltale::amx
#else
namespace telltale::amx {
const Loops* by_hardware() { return nullptr; }
}  // namespace telltale::amx
#endif
