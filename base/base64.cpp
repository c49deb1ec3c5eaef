#include "base/base64.h"

#include <openssl/evp.h>

namespace telltale {

std::string base64(std::span<const uint8_t> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a zero
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), int(bytes.size()));
  text.pop_back();
  return text;
}

}  // namespace telltale
