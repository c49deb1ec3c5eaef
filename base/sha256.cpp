#include "base/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <vector>

#include "base/check.h"
#include "base/regular_file.h"

namespace telltale {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() { TT_CHECK(context && EVP_DigestInit_ex(context, EVP_sha256(), nullptr), Error, "OpenSSL has no SHA-256"); }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const uint8_t> bytes) {
  TT_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()), Error, "OpenSSL's SHA-256 failed");
}

std::string Sha256::hex() {
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  TT_CHECK(EVP_DigestFinal_ex(state_->context, digest.data(), &size), Error, "OpenSSL's SHA-256 failed");
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

std::string sha256(std::span<const uint8_t> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_file(const std::string& path) {
  const Descriptor file = open_regular(path);
  std::vector<uint8_t> piece(1 << 20);
  Sha256 hash;
  while (const size_t n = read_some(file, piece, path)) hash.update({piece.data(), n});
  return hash.hex();
}

}  // namespace telltale
