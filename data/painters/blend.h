#pragma once
// How what was painted is set into the photograph.
#include <string>
#include <vector>

#include "data/painters/picture.h"

namespace telltale {

enum class Blend {
  hard,     ///< the hole's pixels are replaced
  feather,  ///< inside the hole's border, the paint fades in over some pixels
  poisson   ///< the paint's gradients are kept and its colours follow from the border (Pérez et al. 2003)
};

/// UsageError lists the known names.
Blend blend_named(const std::string& name);
std::string name_of(Blend blend);
std::vector<std::string> blend_names();

/// What the hole (mask ≥ 128) shall hold: `fill` set into `photo`; outside the hole, the photograph to the bit. All of
/// one size, else ShapeError. `feather` is the width of the fade in pixels, at least 1. `goes_on`: fill means something
/// outside the hole, too, so that poisson blending may take its gradient across the border; without it the paint is
/// taken to be flat there. Nothing is clamped.
Picture blend(const Picture& photo, const Picture& fill, const Grey& mask, Blend how, double feather, bool goes_on);

}  // namespace telltale
