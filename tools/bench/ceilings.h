#pragma once
// What the device can do at most, measured in the same run as what is compared with it.
#include <string>

#include "kernels/device/stream.h"

namespace telltale {

/// Bytes and operations a second.
struct Ceilings {
  double copy_bytes = 0;  ///< read + written by a plain copy, best of several
  double flop = 0;        ///< 0: not known
  std::string flop_of;    ///< "multiply-add f32", "bf16 dot products", "matrix product 8192 bf16"
  double bf16_dot = 0;    ///< operations a second of AVX512_BF16's dot products; 0: none, or not measured
  /// Seconds that so much takes at least.
  double roof(double bytes, double operations) const;
};
/// On the host multiply-adds in f32 on every thread, or where `type` is bf16 its dot products if they are faster; on a
/// GPU a product of two 8192 × 8192 matrices of `type`, random, or of smaller ones where memory is short.
Ceilings measure_ceilings(Stream&, DType type);

}  // namespace telltale
