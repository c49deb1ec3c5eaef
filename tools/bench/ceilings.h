#pragma once
// What the device can do at most, measured in the same run as what is compared with it.
#include <string>

#include "kernels/device/stream.h"

namespace telltale {

/// Bytes and operations a second.
struct Ceilings {
  double copy_bytes = 0;  ///< read + written by a plain copy, best of several
  double flop = 0;        ///< 0: not known
  std::string flop_of;    ///< "multiply-add f32 on every thread", "matrix product 8192 bf16"
  /// Seconds that so much takes at least.
  double roof(double bytes, double operations) const;
};
/// On the host multiply-adds in f32 on every thread; on a GPU a product of two 8192 × 8192 matrices of `type`, random.
Ceilings measure_ceilings(Stream&, DType type);

}  // namespace telltale
