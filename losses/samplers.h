#pragma once
// Where losses are checked: kinks, ties and degenerate inputs among ordinary ones.
#include "kernels/device/philox.h"

namespace telltale {

/// Where to check a loss of a logit and a probability: 0, near it and far out; certain and uncertain targets.
void sample_logit(Random& random, double* p, double* t, int i);
/// Where to check losses of four numbers that are no geometry: ordinary, equal, tiny and huge differences, and exactly
/// on ±1, a kink of smooth L1.
void sample_numbers(Random& random, double* p, double* t, int i);
/// Where to check losses of boxes: overlapping, nested, disjoint, touching, identical, inverted, empty, sharing edges
/// or centres, tiny and huge.
void sample_boxes(Random& random, double* p, double* t, int i);
/// What sample_boxes draws for i: "touching", …
const char* box_kind(int i);

}  // namespace telltale
