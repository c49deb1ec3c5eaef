#pragma once
// 16-bit floats with the same bits on host and device: round to nearest even, NaN stays NaN (the device's has its own
// payload). A GPU converts in one instruction, which needs no header here: this file is compiled at run time, too.
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/device/tensor.h"

namespace telltale {

TT_HD inline uint32_t bits_of(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  return u;
}
TT_HD inline float float_of(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}

struct bf16 {
  uint16_t bits = 0;
  bf16() = default;
  TT_HD explicit bf16(float f) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(f));
#else
    bits = uint16_t(rounded(f));
#endif
  }
  TT_HD explicit operator float() const { return widened(bits); }
  /// The host's formulas, in whole words: bits as a number below 2¹⁶.
  TT_HD static uint32_t rounded(float f) {
    const uint32_t u = bits_of(f), high = u >> 16;
    // A NaN whose payload sits in the low half would round to infinity.
    return int32_t(u & 0x7fffffffu) > 0x7f800000 ? high | 0x40u : (u + 0x7fffu + (high & 1u)) >> 16;
  }
  TT_HD static float widened(uint32_t bits) { return float_of(bits << 16); }
};

struct f16 {
  uint16_t bits = 0;
  f16() = default;
  TT_HD explicit f16(float f) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(f));
#else
    bits = uint16_t(rounded(f));
#endif
  }
  TT_HD explicit operator float() const {
#ifdef __CUDA_ARCH__
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(bits));
    return f;
#else
    return widened(bits);
#endif
  }
  /// The host's formulas, in whole words: bits as a number below 2¹⁶.
  TT_HD static uint32_t rounded(float f) {
    const uint32_t u = bits_of(f), sign = (u >> 16) & 0x8000u;
    const int32_t mag = int32_t(u & 0x7fffffffu);
    if (mag > 0x7f800000) return sign | 0x7e00u;
    if (mag >= 0x477ff000) return sign | 0x7c00u;  // 65520 and above round to infinity
    // Subnormal: adding 0.5 makes the float unit round for us.
    if (mag < 0x38800000) return sign | (bits_of(float_of(uint32_t(mag)) + 0.5f) - 0x3f000000u);
    return sign | (uint32_t(mag - 0x38000000 + 0xfff + ((mag >> 13) & 1)) >> 13);
  }
  TT_HD static float widened(uint32_t bits) {
    const uint32_t sign = (bits & 0x8000u) << 16;
    const int32_t mag = int32_t(bits & 0x7fffu);
    if (mag >= 0x7c00) return float_of(sign | 0x7f800000u | uint32_t(mag & 0x3ff) << 13);
    if (mag >= 0x0400) return float_of(sign | uint32_t((mag << 13) + 0x38000000));
    return float_of(sign | bits_of(float(mag) * 5.9604644775390625e-8f));  // subnormal: mag · 2^-24
  }
};
template <class T>
constexpr bool is_half = std::is_same_v<T, bf16> || std::is_same_v<T, f16>;

/// The type arithmetic on T is done in: double for double, float for everything else.
template <class T>
using acc_t = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class T>
TT_HD inline acc_t<T> load(const T& v) {
  return static_cast<acc_t<T>>(v);
}
/// Rounds an accumulator to its storage type.
template <class T>
TT_HD inline T store(acc_t<T> v) {
  return static_cast<T>(v);
}

template <class T>
struct Tag {
  using type = T;
};
template <class T>
constexpr DType dtype_v = std::is_same_v<T, float>    ? DType::f32
                          : std::is_same_v<T, double> ? DType::f64
                          : std::is_same_v<T, bf16>   ? DType::bf16
                          : std::is_same_v<T, f16>    ? DType::f16
                          : std::is_same_v<T, int>    ? DType::i32
                                                      : DType::u8;

}  // namespace telltale
