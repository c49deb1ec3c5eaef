#pragma once
// libpng behind exceptions; codec.h is what others call.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace telltale {

/// Whether the bytes start as a PNG does.
bool is_png(std::span<const uint8_t> bytes);
/// Decoded and upright; DataError "name: …". An index beyond its palette, which other readers show as
/// black or as anything, is damage.
Image decode_png(std::span<const uint8_t> bytes, const std::string& name, Remarks* remarks = nullptr);
/// channels is 3 (RGB) or 1 (grey); pixels is height·width·channels bytes.
std::vector<uint8_t> encode_png(const uint8_t* pixels, int width, int height, int channels);

}  // namespace telltale
