#pragma once
// libwebp behind exceptions; codec.h is what others call.
#include <cstdint>
#include <span>
#include <string>

#include "data/image.h"

namespace telltale {

/// Whether the bytes start as a WebP does.
bool is_webp(std::span<const uint8_t> bytes);
/// Decoded, upright, transparency laid on white; of an animation the first picture. DataError "name: …".
Image decode_webp(std::span<const uint8_t> bytes, const std::string& name, Remarks* remarks = nullptr);

}  // namespace telltale
