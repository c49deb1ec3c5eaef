#pragma once
// SHA-256 (FIPS 180-4) by OpenSSL: names weights, datasets and source photographs.
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace telltale {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::span<const uint8_t> bytes);
  /// 64 hexadecimal digits; nothing may be added after it.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256(std::span<const uint8_t> bytes);
/// Streams the file; DataError when it cannot be read, or is no regular file.
std::string sha256_file(const std::string& path);

}  // namespace telltale
