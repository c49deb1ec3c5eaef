#pragma once
#include <cstdint>
#include <span>

#include "data/image.h"

namespace telltale {

/// The orientation (1…8) in an APP1 segment's payload ("Exif\0\0", then TIFF); 1 when it has none or is malformed:
/// damaged metadata is no reason to refuse a photograph.
int exif_orientation(std::span<const uint8_t> app1);

/// The upright image, from one stored in an EXIF orientation (1…8).
Image upright(Image image, int orientation);

}  // namespace telltale
