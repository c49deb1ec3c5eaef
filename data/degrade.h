#pragma once
// What pictures go through after they were made: scaling, cropping, filters, noise, and JPEG again.
#include "data/image.h"
#include "kernels/device/philox.h"

namespace telltale {

/// How likely each step is, and how strong. Steps come in this order.
struct Degradation {
  double resize = 0;  ///< by a factor drawn from resize_low to resize_high, octaves alike, bilinear or Lanczos
  double resize_low = .6, resize_high = 1.6;
  double crop = 0;     ///< loses 1 to 7 columns on the left and rows above, and with them its grid of JPEG blocks
  double blur = 0;     ///< Gaussian, standard deviation .3 to 1.2 pixels
  double sharpen = 0;  ///< unsharp mask of .2 to 1 times the detail
  double noise = 0;    ///< normal, standard deviation .5 to 5 levels
  double grey = 0;     ///< no colours
  double twice = 0;    ///< a JPEG before the last one, of a quality drawn from the same bounds
  double webp = 0;     ///< a lossy WebP, of a quality from the same bounds, instead of the last JPEG
  double jpeg = 0;     ///< a JPEG, 4:2:0, of quality jpeg_low to jpeg_high
  int jpeg_low = 60, jpeg_high = 98;

  bool none() const { return resize + crop + blur + sharpen + noise + grey + twice + webp + jpeg == 0; }
};

/// Takes an image and the mask that lies on it (of its size) through the steps; `least` is the shortest side that may
/// come out, at most the image's own. Mask values stay 0 to 255, soft where it was scaled. ShapeError when sizes
/// differ.
void degrade(Image& image, Grey& mask, const Degradation&, int least, Random& random);

}  // namespace telltale
