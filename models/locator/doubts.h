#pragma once
// Pictures of which a locator's word is worth little, and why.
#include <string>
#include <vector>

#include "data/image.h"
#include "models/locator/locator.h"

namespace telltale {

inline constexpr int kSmallestSide = 64;     ///< shorter pictures show too few traces
inline constexpr int kLowestQuality = 50;    ///< of JPEG: stronger compression leaves no traces
inline constexpr double kLitShare = 0.75;    ///< of the map at a probability of .5: no region stands out
inline constexpr double kFlatShare = 0.5;    ///< of 8 × 8 squares of one colour: no photograph
inline constexpr double kLeastDetail = 0.2;  ///< less is left of pictures enlarged twofold or blurred

/// How much of the finest detail a picture has: of its 32 × 32 squares with any structure, at the sharpest twentieth,
/// the mean square of second differences of brightness between neighbours, over that between pixels two apart. From
/// 1/16 (none: a smooth picture, or an enlarged one) to about 1 (noise); 1 where there is nothing to measure.
double finest_detail(const Image&);
/// The share of 8 × 8 squares (from the corner on) that have one colour.
double flat_share(const Image&);
/// Whether every pixel is grey, to within what JPEG leaves of colour.
bool is_grey(const Image&);

/// Why nothing should be concluded from the map, a clause each; `jpeg_quality` 0: no JPEG. Empty where it may be.
std::vector<std::string> doubts(const Image&, int jpeg_quality, const PictureMap&);
/// What a conclusion does not rest on, a clause each.
std::vector<std::string> caveats(const Image&);

}  // namespace telltale
