#pragma once
// How the fake libraries read and write device memory of any floating-point type.
#include <cstdint>
#include <cstring>

#include "kernels/device/half.h"

namespace telltale::fake_gpu {

enum class Type : uint8_t { f32, bf16, f16 };

inline size_t size_of(Type t) { return t == Type::f32 ? 4 : 2; }

template <class T>
float number_at(const void* p, int64_t i) {
  return float(load(static_cast<const T*>(p)[i]));
}
inline float number(Type t, const void* p, int64_t i) {
  return t == Type::f32    ? static_cast<const float*>(p)[i]
         : t == Type::bf16 ? number_at<bf16>(p, i)
                           : number_at<f16>(p, i);
}
inline void set_number(Type t, void* p, int64_t i, float value) {
  if (t == Type::f32) {
    static_cast<float*>(p)[i] = value;
  } else if (t == Type::bf16) {
    static_cast<bf16*>(p)[i] = bf16(value);
  } else {
    static_cast<f16*>(p)[i] = f16(value);
  }
}

/// Rounded to 10 bits of mantissa, as a tensor core reads f32.
inline float as_tf32(float value) {
  const uint32_t bits = bits_of(value);
  return (bits & 0x7f800000u) == 0x7f800000u ? value : float_of((bits + 0xfffu + ((bits >> 13) & 1u)) & 0xffffe000u);
}

}  // namespace telltale::fake_gpu
