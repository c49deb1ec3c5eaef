#pragma once
// libjpeg behind exceptions; codec.h is what others call.
#include <cstdint>
#include <span>
#include <string>

#include "data/image.h"

namespace telltale {

/// Whether the bytes start as a JPEG does.
bool is_jpeg(std::span<const uint8_t> bytes);
/// Decoded and upright; DataError "name: …".
Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace telltale
