#pragma once
// Procedural photographs for demonstrations and tests, where no photographs may be shipped.
#include <cstdint>

#include "data/image.h"

namespace telltale {

/// A size × size picture (size ≥ 16, else ShapeError) with a photograph's statistics: dead leaves (occluding shapes of
/// power-law radii; Lee, Mumford and Huang 2001) with 1/f, woven and brick textures, shaded, before graded skies,
/// vignetted, blurred by a lens and grained by a sensor. The same seed gives
/// the same picture on one build.
Image draw_scene(int size, uint64_t seed);

}  // namespace telltale
