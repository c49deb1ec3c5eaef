#pragma once
// libjpeg behind exceptions; codec.h is what others call.
#include <cstdint>
#include <span>
#include <string>

#include "data/image.h"

namespace telltale {

/// Whether the bytes start as a JPEG does.
bool is_jpeg(std::span<const uint8_t> bytes);
/// Decoded and upright; DataError "name: …". What follows the last pixel, be it nothing or a maker's trailer, is not
/// looked at.
Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name, Remarks* remarks = nullptr);

}  // namespace telltale
