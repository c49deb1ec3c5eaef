#pragma once
// Boxes as nets predict them: corners between pixels.
#include <algorithm>

#include "data/boxes.h"

namespace telltale {

/// Half-open, x = column. In pixels, or divided by the image's width and height, as its user says.
struct RealBox {
  double x_min = 0, y_min = 0, x_max = 0, y_max = 0;
  bool operator==(const RealBox&) const = default;
};

inline RealBox real(const Box& b) { return {double(b.x_min), double(b.y_min), double(b.x_max), double(b.y_max)}; }

/// 0 when inverted.
inline double area(const RealBox& b) { return std::max(0.0, b.x_max - b.x_min) * std::max(0.0, b.y_max - b.y_min); }

/// Intersection over union in [0, 1]; 0 when both are empty. `border` widens every side by that many units: 1 gives the
/// paper's IoU, which takes corners as inclusive.
inline double iou(RealBox a, RealBox b, double border = 0) {
  for (RealBox* x : {&a, &b}) x->x_max += border, x->y_max += border;
  const double both = area(RealBox{std::max(a.x_min, b.x_min), std::max(a.y_min, b.y_min), std::min(a.x_max, b.x_max),
                                   std::min(a.y_max, b.y_max)});
  const double either = area(a) + area(b) - both;
  return either > 0 ? both / either : 0;
}

}  // namespace telltale
