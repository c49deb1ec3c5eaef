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
/// How strongly a JPEG was compressed when it was saved last, in 1…100: the quality at which libjpeg's tables for
/// brightness (Annex K of ITU-T T.81, scaled) sum to nearest what this file's does. 0 where the bytes are no JPEG with
/// a readable header.
int jpeg_quality(std::span<const uint8_t> bytes);

}  // namespace telltale
