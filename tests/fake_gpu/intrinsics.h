#pragma once
// A GPU's intrinsics for the host, so that lines written for the device run here: included before every .cu of the fake
// GPU. Packed 16-bit maxima and comparisons need none: CUDA's headers have a host form of those.
#include <vector_functions.h>
#include <vector_types.h>

#include <cmath>
#include <cstdint>

/// Four of the eight bytes of y:x, each chosen by a digit of `selector`; its highest bit would copy a sign, which
/// nothing here asks for.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {  // NOLINT: CUDA's name
  const uint64_t both = uint64_t(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) result |= unsigned(both >> (8 * (selector >> (4 * i) & 7)) & 0xff) << (8 * i);
  return result;
}

namespace telltale {

/// As far from the truth as ex2.approx and rcp.approx may be, now above, now below; nothing below the normal numbers.
struct DeviceApproximations {
  static float exp2(float x) { return off(std::exp2(x), 2); }
  static float reciprocal(float x) { return off(1 / x, 1); }

 private:
  static float off(float value, int ulps) {
    if (!(std::abs(value) >= 1.17549435e-38f)) return std::isnan(value) ? value : 0;
    const bool above = std::signbit(std::sin(value * 1e3f));
    return std::isinf(value) ? value : value * (1 + (above ? 1 : -1) * float(ulps) * 0x1p-24f);
  }
};

}  // namespace telltale
