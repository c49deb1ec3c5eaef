#pragma once
// BMP and TGA through stb, with the checks that stb leaves out, and PNM; codec.h is what others call.
#include <cstdint>
#include <span>
#include <string>

#include "data/image.h"

namespace telltale {

/// "BMP", "PNM" or "TGA", null for anything else. A TGA has no mark of its own: its header must be a possible
/// one and its name end in .tga.
const char* simple_format(std::span<const uint8_t> bytes, const std::string& name);
/// Decodes one of these, transparency (TGA's attribute bits, BMP's mask of them) laid on white. DataError "name: …",
/// for a form that is not read (run-length BMP, PNM as text or of other than 8 bits, palettes that are exceeded), too.
Image decode_simple(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace telltale
