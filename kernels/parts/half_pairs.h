#pragma once
// Two 16-bit floats in a word, the first one in its low half: what a GPU compares in one instruction. The host's
// formulas give the same bits, but for a NaN's payload.
#include "kernels/device/half.h"
#if defined(__CUDACC__) || TT_FAKE_GPU
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace telltale {

#if defined(__CUDACC__) || TT_FAKE_GPU
/// T's pair by CUDA's name.
template <class T>
using DevicePair = std::conditional_t<std::is_same_v<T, bf16>, __nv_bfloat162, __half2>;
#endif

/// f(a's half, b's half) of both halves, 16 bits each.
template <class T, class F>
TT_HD inline uint32_t each_half(uint32_t a, uint32_t b, F f) {
  const auto half = [](uint32_t word, int shift) {
    T v;
    v.bits = uint16_t(word >> shift);
    return v;
  };
  return uint32_t(f(half(a, 0), half(b, 0))) | uint32_t(f(half(a, 16), half(b, 16))) << 16;
}

/// The larger ones; a NaN is larger than anything, +0 is larger than −0.
template <class T>
TT_HD inline uint32_t max_of_pairs(uint32_t a, uint32_t b) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  using Pair = DevicePair<T>;
  const Pair c = __hmax2_nan(reinterpret_cast<const Pair&>(a), reinterpret_cast<const Pair&>(b));
  return reinterpret_cast<const uint32_t&>(c);
#else
  return each_half<T>(a, b, [](T p, T q) {
    const float v = load(p), w = load(q);
    if (v == w) return uint16_t(v == 0 ? p.bits & q.bits : p.bits);
    return v > w || v != v ? p.bits : q.bits;
  });
#endif
}

/// All bits of a half where they are equal: −0 is +0, and NaN nothing.
template <class T>
TT_HD inline uint32_t equal_in_pairs(uint32_t a, uint32_t b) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  using Pair = DevicePair<T>;
  return __heq2_mask(reinterpret_cast<const Pair&>(a), reinterpret_cast<const Pair&>(b));
#else
  return each_half<T>(a, b, [](T p, T q) { return uint16_t(load(p) == load(q) ? 0xffff : 0); });
#endif
}

/// All bits of a half where a's is greater than b's.
template <class T>
TT_HD inline uint32_t greater_in_pairs(uint32_t a, uint32_t b) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  using Pair = DevicePair<T>;
  return __hgt2_mask(reinterpret_cast<const Pair&>(a), reinterpret_cast<const Pair&>(b));
#else
  return each_half<T>(a, b, [](T p, T q) { return uint16_t(load(p) > load(q) ? 0xffff : 0); });
#endif
}

}  // namespace telltale
