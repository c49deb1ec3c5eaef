#pragma once
// How a photograph could have come about otherwise: another distance, lens, sensor and processing.
#include "data/image.h"
#include "kernels/device/philox.h"

namespace telltale {

/// The photograph as another camera might have delivered it, not yet saved as a JPEG. Drawn, each with its own chance:
/// another scale (×0.6 to ×2; the shorter side stays at least `least`), grey, tones, out of focus as a whole or in
/// part, the sensor's noise, colours interpolated from a Bayer mosaic, denoising, sharpening. Its size is another one
/// where its scale is. Sides must be positive, else ShapeError.
Image through_camera(const Image& photo, int least, Random& random);

}  // namespace telltale
