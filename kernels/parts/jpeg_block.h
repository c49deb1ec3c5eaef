#pragma once
// What JPEG cuts a picture into.

namespace telltale {

inline constexpr int kBlock = 8;                      ///< pixels along a block's side
inline constexpr int kFrequencies = kBlock * kBlock;  ///< of a block: u·8 + v, u vertical

}  // namespace telltale
