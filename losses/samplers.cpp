#include "losses/samplers.h"

#include <algorithm>
#include <cmath>

namespace telltale {

void sample_logit(Random& random, double* p, double* t, int i) {
  constexpr double kScale[] = {1, 10, 1e-4, 1000};
  p[0] = i % 7 ? kScale[i % 4] * random.normal() : 0;
  t[0] = i % 3 ? i % 2 : random.uniform();
}

void sample_numbers(Random& random, double* p, double* t, int i) {
  constexpr double kScale[] = {1, 1, 1e-3, 16};
  for (int k = 0; k < 4; ++k) {
    t[k] = random.normal();
    const double differences[] = {random.normal(), 0, random.integer(0, 1) ? 1.0 : -1.0,
                                  random.normal() * kScale[i % 4]};
    // On a grid of 1/16 a difference of exactly 0 or 1 survives the subtraction.
    if (i % 4 != 3) t[k] = std::round(t[k] * 16) / 16;
    p[k] = t[k] + differences[(i + k) % 4];
  }
}

namespace {
enum BoxKind {
  generic,
  far,
  inside,
  outside,
  touching,
  corner,
  same,
  inverted,
  thin,
  point,
  both_empty,
  edges,
  centre,
  thin_target,
  kinds
};
}  // namespace

const char* box_kind(int i) {
  constexpr const char* kNames[kinds] = {"overlapping",
                                         "far apart",
                                         "inside",
                                         "outside",
                                         "touching edges",
                                         "touching corners",
                                         "identical",
                                         "inverted",
                                         "without width",
                                         "a point",
                                         "both empty",
                                         "sharing an edge",
                                         "sharing the centre",
                                         "target without width"};
  return kNames[i % kinds];
}

void sample_boxes(Random& random, double* p, double* t, int i) {
  // Dyadic coordinates and power-of-two scales keep every tie exact.
  const auto grid = [&](int low, int high) { return double(random.integer(low, high)) / 16; };
  for (int axis = 0; axis < 2; ++axis) {
    double &p0 = p[axis], &p1 = p[axis + 2], &t0 = t[axis], &t1 = t[axis + 2];
    t0 = grid(-8, 8);
    t1 = t0 + grid(4, 16);
    p0 = random.uniform(t0 - 0.2, t1 - 0.05);
    p1 = random.uniform(p0 + 0.05, t1 + 0.3);
    const double middle = (t0 + t1) / 2, length = t1 - t0;
    switch (i % kinds) {
      case far: p0 += axis ? 0 : 3, p1 += axis ? 0 : 3; break;
      case inside: p0 = random.uniform(t0, middle), p1 = random.uniform(middle, t1); break;
      case outside: p0 = t0 - random.uniform(0.01, 1), p1 = t1 + random.uniform(0.01, 1); break;
      case touching:
        if (axis == 0) p0 = t1, p1 = t1 + grid(1, 9);
        break;
      case corner: p0 = t1, p1 = t1 + grid(1, 9); break;
      case same: p0 = t0, p1 = t1; break;
      case inverted:
        if (axis == 0 || i / kinds % 2) std::swap(p0, p1);
        break;
      case thin:
        if (axis == 0) p1 = p0 = t0 + grid(-2, 2);
        break;
      case point: p1 = p0 = t0 + grid(-2, 2); break;
      case both_empty:
        if (axis == 0 || i / kinds % 2) t1 = t0;
        p0 = t0, p1 = t1;
        break;
      case edges: (random.integer(0, 1) ? p0 = t0 : p1 = t1); break;
      case centre: p0 = middle - length * (axis ? 0.25 : 1), p1 = middle + length * (axis ? 0.25 : 1); break;
      case thin_target:
        if (axis == 0) t1 = t0;
        break;
      default: break;
    }
  }
  const int round = i / kinds % 8;
  const double scale = round == 5 ? 0x1p-10 : round == 6 ? 0x1p20 : round == 7 ? 256 : 1;
  for (int k = 0; k < 4; ++k) p[k] *= scale, t[k] *= scale;
}

}  // namespace telltale
