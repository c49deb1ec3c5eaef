#pragma once
// Marks for people: frames and captions on annotated photographs.
#include <array>
#include <cstdint>
#include <string_view>

#include "data/image.h"

namespace telltale {

using Colour = std::array<uint8_t, 3>;

/// A frame of `thickness` pixels just inside `box`; what falls outside the image is not drawn.
void draw_rectangle(Image& image, const Box& box, Colour colour, int thickness);

/// Text in a built-in 5×7 font (letters without case, digits, "% . - + : / ( ) _ = ,"; anything else is a blank), each
/// dot scale × scale, on a filled background; (x, y) is the top left corner and is moved so that the text stays inside
/// where it fits.
void draw_text(Image& image, int x, int y, std::string_view text, Colour colour, Colour background, int scale);

/// Lays heat over a pixel: from yellow at a value of .5 to red at 1; below, it fades out.
void blend_heat(uint8_t* rgb, float value);

}  // namespace telltale
