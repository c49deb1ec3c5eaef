#pragma once
// What a locator says of a picture, as pictures.
#include "models/locator/inspection.h"

namespace telltale {

/// 255 · the probability that a pixel was painted, of the photograph's size.
Grey mask_of(const PictureMap&);
/// Draws on the photograph: the map as heat, a frame around each region, and the verdict in the corner. The map must be
/// this picture's.
void annotate(Image&, const Inspection&);

}  // namespace telltale
