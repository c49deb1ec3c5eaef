#pragma once
// SHA-256 (FIPS 180-4): names weights, datasets and source photographs.
#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace telltale {

class Sha256 {
 public:
  void update(std::span<const uint8_t> bytes);
  /// 64 hexadecimal digits; nothing may be added after it.
  std::string hex();

 private:
  void block(const uint8_t* p);
  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> buffer_{};
  uint64_t bytes_ = 0;
};

std::string sha256(std::span<const uint8_t> bytes);
/// Streams the file; DataError when it cannot be read.
std::string sha256_file(const std::string& path);

}  // namespace telltale
