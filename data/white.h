#pragma once
#include <cstddef>
#include <cstdint>

namespace telltale {

/// `pixels` RGBA pixels laid on white, as RGB; rounded to the nearest level.
inline void lay_on_white(const uint8_t* rgba, size_t pixels, uint8_t* rgb) {
  for (const uint8_t* end = rgba + 4 * pixels; rgba < end; rgba += 4, rgb += 3)
    for (int c = 0; c < 3; ++c) rgb[c] = uint8_t((rgba[c] * rgba[3] + 255 * (255 - rgba[3]) + 127) / 255);
}

}  // namespace telltale
