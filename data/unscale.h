#pragma once
// What a picture was scaled from, and the picture before. A photograph that was a JPEG and was then scaled lies on no
// grid of blocks; undone by the right size and filter, it lies on its own again, and only then.
#include <optional>
#include <string>

#include "data/image.h"

namespace telltale {

/// How pictures are scaled in use. All but the last widen when shrinking, so that nothing aliases.
enum class ScalingFilter { area, bilinear, bicubic, lanczos, bilinear_aliased };
/// "area", "bilinear", …
const char* name_of(ScalingFilter);

struct Scaling {
  int width = 0, height = 0;  ///< of the picture before
  ScalingFilter filter = ScalingFilter::bilinear;
  double evidence = 0;  ///< GridVotes' with the scaling undone, less three standard errors
};

/// Looks for the size from which the whole of a picture was scaled: from 1/2.2 to 1.55 times its own, its sides in its
/// own proportions to within a pixel. None where no size stands out, and for pictures with a side below 96 pixels.
/// One that was cropped or saved as JPEG after scaling is not found. Takes some tenths of a second.
std::optional<Scaling> find_scaling(const Image&);

/// The picture before: each pixel is the linear estimate of least expected square error from the 16 × 16 nearest,
/// for photographs' covariance (exponential, .97 from pixel to pixel) and the error of rounding. Takes 16
/// lines of memory beyond both pictures. ShapeError where a side before is no positive number, or one now is below 16.
Image undo_scaling(const Image&, const Scaling&);

}  // namespace telltale
