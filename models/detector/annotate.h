#pragma once
// A verdict drawn on its picture.
#include "data/image.h"

namespace telltale {

/// A red frame around `box` when `fake`, and the probability in the corner.
void annotate(Image& image, bool fake, double probability, const Box& box);

}  // namespace telltale
