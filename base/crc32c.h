#pragma once
// CRC-32C (Castagnoli; RFC 3720, B.4), as TFRecord files carry it.
#include <array>
#include <cstdint>
#include <string_view>

namespace telltale {

inline uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = [] {
    constexpr uint32_t kReversedPolynomial = 0x82f63b78;
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t remainder = i;
      for (int bit = 0; bit < 8; ++bit) remainder = remainder >> 1 ^ (remainder & 1 ? kReversedPolynomial : 0);
      table[i] = remainder;
    }
    return table;
  }();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

}  // namespace telltale
