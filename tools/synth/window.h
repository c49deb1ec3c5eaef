#pragma once
// Where the generator must paint for a hole to be filled.
#include "data/image.h"

namespace telltale {

/// A square of a size × size image.
struct Window {
  int top = 0, left = 0, side = 0;
};

/// The side of the window that a hole in a size × size image needs (nets.h's HoleWindow): the least of a few, eighths
/// of the image from three upwards, because each side is a program of its own. `size` when nothing less will do.
int window_side(const Box& hole, int size);
/// The window of that side, or a larger one, around the hole.
Window place_window(const Box& hole, int side, int size);

}  // namespace telltale
