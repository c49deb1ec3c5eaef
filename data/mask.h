#pragma once
// Where to paint: masks drawn by law, seed and photograph, never by position in a list, so shards and resumed runs
// agree.
#include <cstdint>
#include <string>
#include <vector>

#include "data/image.h"

namespace telltale {

enum class MaskLaw {
  paper,  ///< one rectangle: x_min ~ U{0…199}, x_max ~ U{x_min+55…254} at 256 × 256, y alike, scaled to other sizes
  boxes,  ///< DeepFillv2's rectangle: half the image's sides, each edge moved in by U{0…1/16} of them, anywhere
  brush,  ///< DeepFillv2's free form: one to three brush strokes beside such a rectangle
  mixed,  ///< one of the above, drawn too
  // From here on, the area is drawn first: 0.5 to 40 % of the image, small as often as large.
  rectangle,  ///< anywhere, sides up to three to one
  polygon,    ///< four to nine corners
  stroke,     ///< a brush drawn back and forth
  several,    ///< two to four of the three above
  object,     ///< what a person would outline: follows the photograph's colours and edges
  any         ///< one of the five above, or two to four of rectangles, polygons, strokes and objects
};

/// From its name in settings; UsageError lists the known ones.
MaskLaw mask_law(const std::string& name);
std::string name_of(MaskLaw law);
/// The names of all laws, or of those that need no photograph.
std::vector<std::string> mask_law_names(bool with_photo = false);
/// Whether masks follow what is in the photograph.
bool looks_at_photo(MaskLaw law);

/// The share of the image that a mask may cover, both ends included.
struct AreaBounds {
  double low = 0, high = 1;
};

/// The mask of photograph `id`, 255 = hole, in a width × height image (each side at least 8, else ShapeError): a
/// function of law, sizes, seed, id and bounds alone. Never empty. Masks outside the bounds are drawn anew; UsageError
/// when 1000 were.
/// Also when the law looks at the photograph.
Grey draw_mask(MaskLaw law, int width, int height, uint64_t seed, const std::string& id, AreaBounds bounds = {});
/// The same for any law, in an image of the photograph's size: a function of the photograph, too, where the law looks
/// at it.
Grey draw_mask(MaskLaw law, const Image& photo, uint64_t seed, const std::string& id, AreaBounds bounds = {});

/// 255 inside the box, 0 outside.
Grey rasterise(const Box& box, int width, int height);

/// The smallest box around all pixels ≥ 128; all zero when there are none.
Box bounds_of(const Grey& mask);

/// Pixels ≥ 128 as a share of all.
double area_share(const Grey& mask);

}  // namespace telltale
