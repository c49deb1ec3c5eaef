#pragma once
// Which way up a picture is: EXIF's tag, XMP's attribute, and turning by it.
#include <cstdint>
#include <span>
#include <string_view>

#include "data/image.h"

namespace telltale {

/// The orientation (1…8) that EXIF bytes give: a TIFF directory, with or without "Exif\0\0" in front, whose tag 0x0112
/// is a BYTE, SHORT or LONG. A value out of range means 1. 0 where there is no such tag, or the bytes are broken.
int exif_orientation(std::span<const uint8_t> exif);
/// The orientation (1…8) that an XMP packet gives as tiff:Orientation, attribute or element; 0 where it gives none.
int xmp_orientation(std::string_view xmp);
/// EXIF's orientation; where that says nothing XMP's (as Pillow's exif_transpose does); else 1.
int orientation_of(std::span<const uint8_t> exif, std::string_view xmp);
/// Turns and mirrors a stored picture so that it stands as `orientation` says; 1 and unknown values keep it.
Image upright(Image image, int orientation);

}  // namespace telltale
