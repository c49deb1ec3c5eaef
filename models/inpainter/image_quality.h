#pragma once
// How close a painted region came to the photograph.
#include "data/image.h"

namespace telltale {

/// Over the hole's pixels and all three channels.
struct HoleQuality {
  double psnr = 0;  ///< decibels against a peak of 255; infinite where equal
  double ssim = 0;  ///< mean of the map of structural similarity (Wang et al. 2004) over the hole, in [−1, 1]
  double l1 = 0;    ///< mean absolute difference, in levels of 255
};
/// `mask` ≥ 128 marks the hole, which must not be empty. SSIM looks through Gaussian windows of 11×11, σ 1.5, cut at
/// the image's edges; K1 .01, K2 .03. Throws ShapeError when sizes differ or the hole is empty.
HoleQuality hole_quality(const Image& truth, const Image& painted, const Grey& mask);

/// The photograph with its hole in the mean colour of the rest (of mid-grey when there is no rest): what any inpainter
/// must beat.
Image mean_colour_fill(const Image& photo, const Grey& mask);

/// Standard deviation of the hole's values about each channel's mean, in levels: near 0 where the paint is flat.
double hole_contrast(const Image& image, const Grey& mask);

}  // namespace telltale
