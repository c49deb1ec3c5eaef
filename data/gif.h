#pragma once
// GIF; codec.h is what others call.
#include <cstdint>
#include <span>
#include <string>

#include "data/image.h"

namespace telltale {

/// Whether the bytes start as a GIF does.
bool is_gif(std::span<const uint8_t> bytes);
/// The first picture, laid on a white canvas of the screen's size: what is transparent, and what it does not cover, is
/// white, as in browsers. DataError "name: …" when a pixel is missing, a colour lies beyond its palette, or the picture
/// leaves the canvas. Source: the GIF89a specification (CompuServe, 1990).
Image decode_gif(std::span<const uint8_t> bytes, const std::string& name, Remarks* remarks = nullptr);

}  // namespace telltale
