#pragma once
// What the losses of the IoU family share. Boxes are half-open: x_min, y_min, x_max, y_max in any one unit.
#include "losses/dual.h"

namespace telltale {

/// torchvision's epsilon in the denominators (torchvision.ops.generalized_box_iou_loss and its sisters).
constexpr double kBoxEpsilon = 1e-7;

/// Corners, sorted: a predicted box may come inverted, and then means the box it spans.
template <class V>
struct BoxCorners {
  V x_min, y_min, x_max, y_max;
  TT_HD V width() const { return x_max - x_min; }
  TT_HD V height() const { return y_max - y_min; }
  TT_HD V area() const { return width() * height(); }
};
template <class V>
TT_HD BoxCorners<V> sorted_corners(const V* c) {
  return {min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])};
}

/// Two boxes' overlap. p: V, numbers with gradients; t: T, plain ones.
template <class V, class T>
struct BoxPair {
  BoxCorners<V> pred, hull;  ///< hull: the smallest box that holds both
  BoxCorners<T> target;
  V intersection, joint, iou;  ///< areas of ∩ and ∪; ∩ / (∪ + ε)

  TT_HD BoxPair(const V* p, const T* t) : pred(sorted_corners(p)), target(sorted_corners(t)), intersection(T(0)) {
    hull = {min(pred.x_min, V(target.x_min)), min(pred.y_min, V(target.y_min)), max(pred.x_max, V(target.x_max)),
            max(pred.y_max, V(target.y_max))};
    const V w = min(pred.x_max, V(target.x_max)) - max(pred.x_min, V(target.x_min));
    const V h = min(pred.y_max, V(target.y_max)) - max(pred.y_min, V(target.y_min));
    if (w > T(0) && h > T(0)) intersection = w * h;
    joint = pred.area() + target.area() - intersection;
    iou = intersection / (joint + T(kBoxEpsilon));
  }
  /// From the target's centre to the predicted one's.
  TT_HD V centre_x() const { return (pred.x_min + pred.x_max - target.x_min - target.x_max) * T(0.5); }
  TT_HD V centre_y() const { return (pred.y_min + pred.y_max - target.y_min - target.y_max) * T(0.5); }
  /// ρ² / (d² + ε): the squared distance of the centres over the hull's squared diagonal (Zheng 2020, eq. 6).
  TT_HD V centre_distance() const {
    const V dx = centre_x(), dy = centre_y(), w = hull.width(), h = hull.height();
    return (dx * dx + dy * dy) / (w * w + h * h + T(kBoxEpsilon));
  }
};

}  // namespace telltale
