#pragma once

namespace telltale {

/// Luma of a pixel's red, green and blue, in the range that they have (ITU-R BT.601, of values as pictures store them).
template <typename T>
float luma(const T* rgb) {
  return .299f * float(rgb[0]) + .587f * float(rgb[1]) + .114f * float(rgb[2]);
}

}  // namespace telltale
