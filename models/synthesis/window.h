#pragma once
// Where the generator must paint for a hole to be filled, and which holes it fills together.
#include <vector>

#include "models/synthesis/plan.h"

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

/// Fakes that pass the generator together, in windows of one side.
struct Group {
  std::vector<const Row*> rows;
  int side;
  int generator = 0;  ///< which of the weights files
};
/// The fakes that generators paint in groups of `batch`, but for the last: one generator after another, those with the
/// widest windows first, otherwise in plan order. A side of its own pays its program with `worth` groups; what fewer
/// than that would use goes with the next wider one.
std::vector<Group> groups_of(const Plan&, int size, int batch, int worth);

}  // namespace telltale
