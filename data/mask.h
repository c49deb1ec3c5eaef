#pragma once
// Where to paint: masks drawn by law, seed and photograph, never by position in a list, so shards and resumed runs
// agree.
#include <cstdint>
#include <string>

#include "data/image.h"

namespace telltale {

enum class MaskLaw {
  paper,  ///< one rectangle: x_min ~ U{0…199}, x_max ~ U{x_min+55…254} at 256 × 256, y alike, scaled to other sizes
};

/// From its name in settings; UsageError lists the known ones.
MaskLaw mask_law(const std::string& name);
std::string name_of(MaskLaw law);

/// The box of photograph `id` in a width × height image (each side at least 8, else ShapeError): a function of law,
/// sizes, seed and id alone. Never empty.
Box draw_box(MaskLaw law, int width, int height, uint64_t seed, const std::string& id);

/// 255 inside the box, 0 outside.
Grey rasterise(const Box& box, int width, int height);

/// The smallest box around all pixels ≥ 128; all zero when there are none.
Box bounds_of(const Grey& mask);

}  // namespace telltale
