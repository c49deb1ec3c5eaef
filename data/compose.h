#pragma once
// Putting a painted region back into its photograph. Fakes and placebo negatives pass through here alike.
#include <span>

#include "data/image.h"

namespace telltale {

/// `photo` where `mask` is 0, else `fill` (height·width·3 floats in [0,1]) rounded to the nearest 8-bit level, not
/// truncated; values outside [0,1] are clamped and NaN is a DataError. Pixels outside the mask keep their bits, so an
/// empty mask gives the photo back. ShapeError when sizes differ.
Image compose(const Image& photo, std::span<const float> fill, const Grey& mask);

}  // namespace telltale
