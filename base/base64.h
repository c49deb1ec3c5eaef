#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace telltale {

/// RFC 4648, section 4, padded.
std::string base64(std::span<const uint8_t> bytes);

}  // namespace telltale
