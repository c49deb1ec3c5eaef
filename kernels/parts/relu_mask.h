#pragma once
// Relu's mask for backward, packed: a byte for eight channels, bit k of byte j of a row set where y > 0 in channel 8·j
// + k. A sixteenth of what reading y again would cost in 16 bits.
#include "kernels/parts/chunk.h"

namespace telltale {

/// Where backward has relu's mask from.
enum class Mask : uint8_t { none, recomputed, packed };

/// Whether relu lets v through once it is stored: in 16 bits, half of the smallest number and less is stored as 0.
template <class T>
TT_HD bool passes(acc_t<T> v) {
  constexpr acc_t<T> kLimit = std::is_same_v<T, f16> ? 0x1p-25f : std::is_same_v<T, bf16> ? 0x1p-134f : 0;
  return v > kLimit;
}

/// The bits of a chunk.
template <class T>
TT_HD uint8_t bits_of(const Chunk<acc_t<T>>& v, int size) {
  unsigned bits = 0;
  for (int k = 0; k < kChunk; ++k) bits |= unsigned(k < size && passes<T>(v[k])) << k;
  return uint8_t(bits);
}

/// Bytes of a row of c channels.
TT_HD constexpr int mask_bytes(int c) { return (c + kChunk - 1) / kChunk; }

/// The bits of n elements from `offset` on, whole rows of c channels, on the host.
template <class T>
void pack_mask(const T* y, int64_t offset, int64_t n, int c, uint8_t* passed) {
  uint8_t* to = passed + offset / c * mask_bytes(c);
  if (c % kChunk == 0 && std::endian::native == std::endian::little) {  // rows then follow each other without a gap
    constexpr int64_t kAtOnce = 512;
    uint8_t set[kAtOnce];
    for (int64_t first = 0; first < n; first += kAtOnce, y += kAtOnce) {
      const int64_t count = std::min(kAtOnce, n - first);
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) set[i] = load(y[i]) > 0;
      for (int64_t i = 0; i < count; i += kChunk, ++to) {
        uint64_t eight;
        memcpy(&eight, set + i, sizeof eight);
        *to = uint8_t(eight * 0x0102040810204080u >> 56);  // byte k's bit comes to lie at k, every other one elsewhere
      }
    }
    return;
  }
  for (int64_t row = 0; row < n; row += c) {
    for (int first = 0; first < c; first += kChunk, ++to) {
      unsigned bits = 0;
      if (c - first >= kChunk) {
        for (int k = 0; k < kChunk; ++k) bits |= unsigned(load(y[row + first + k]) > 0) << k;
      } else {
        for (int k = 0; k < c - first; ++k) bits |= unsigned(load(y[row + first + k]) > 0) << k;
      }
      *to = uint8_t(bits);
    }
  }
}

/// g = 0 where the mask has no bit: n elements from `offset` on, on the host.
template <class A>
void unpack_mask(const uint8_t* passed, int64_t offset, int64_t n, int c, A* g) {
  if (c % kChunk == 0) {  // then n and offset are multiples, too
    passed += offset / kChunk;
    for (int64_t i = 0; i < n; i += kChunk) {
      const unsigned bits = passed[i / kChunk];
#pragma omp simd
      for (int k = 0; k < kChunk; ++k) g[i + k] = bits >> k & 1 ? g[i + k] : A(0);
    }
    return;
  }
  const int bytes = mask_bytes(c);
  int64_t row = offset / c, channel = offset % c;
  for (int64_t i = 0; i < n; ++i) {
    if (!(passed[row * bytes + channel / kChunk] >> channel % kChunk & 1)) g[i] = 0;
    if (++channel == c) channel = 0, ++row;
  }
}

}  // namespace telltale
