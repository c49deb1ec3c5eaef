#pragma once
// Division by a number known before a kernel starts: a multiplication and a shift (Granlund & Montgomery 1994), where
// the device's division of 32 bits takes about twenty instructions and that of 64 bits seventy.
#include <bit>
#include <cstdint>

#include "kernels/device/tensor.h"

namespace telltale {

/// Divides by d exactly, rounding down; d = 0, an empty tensor's extent, divides as 1.
struct Divisor {
  int d;
  int shift;
  uint32_t factor;  // ⌈2^shift / d⌉ < 2³²: with 2^(shift − 31) ≥ d what that rounds up stays below a quotient's step
  explicit Divisor(int divisor)
      : d(divisor > 0 ? divisor : 1),
        shift(31 + int(std::bit_width(uint32_t(d - 1)))),
        factor(uint32_t(((uint64_t(1) << shift) + uint64_t(d) - 1) / uint64_t(d))) {}
  /// Of 0 ≤ i < 2³¹.
  TT_HD int divide(int i) const { return int(uint64_t(uint32_t(i)) * factor >> shift); }
  /// Of any i ≥ 0: from 2³¹ on by a division after all.
  TT_HD int64_t quotient(int64_t i) const { return uint64_t(i) >> 31 == 0 ? divide(int(i)) : i / d; }
};

}  // namespace telltale
