#pragma once
#include <cstdint>
#include <vector>

#include "data/image.h"

namespace telltale {

/// Lossy WebP, quality in 0…100 (else UsageError).
std::vector<uint8_t> encode_webp(const Image& image, int quality);

}  // namespace telltale
