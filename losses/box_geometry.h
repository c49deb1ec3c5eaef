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

/// Two boxes' overlap, with slopes to the four numbers of the first one as given, before the sort.
template <class T>
struct BoxPair {
  using V = Dual<T, 4>;
  BoxCorners<V> pred, target, hull;  ///< hull: the smallest box that holds both
  V intersection, joint, iou;        ///< areas of ∩ and ∪; ∩ / (∪ + ε)

  TT_HD BoxPair(const T* p, const T* t) {
    const V v[4] = {V::variable(p[0], 0), V::variable(p[1], 1), V::variable(p[2], 2), V::variable(p[3], 3)};
    pred = {min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])};
    const V c[4] = {t[0], t[1], t[2], t[3]};
    target = {min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])};
    hull = {min(pred.x_min, target.x_min), min(pred.y_min, target.y_min), max(pred.x_max, target.x_max),
            max(pred.y_max, target.y_max)};
    const V w = min(pred.x_max, target.x_max) - max(pred.x_min, target.x_min);
    const V h = min(pred.y_max, target.y_max) - max(pred.y_min, target.y_min);
    if (w.value > 0 && h.value > 0) intersection = w * h;
    joint = pred.area() + target.area() - intersection;
    iou = intersection / (joint + T(kBoxEpsilon));
  }
  /// ρ² / (d² + ε): the squared distance of the centres over the hull's squared diagonal (Zheng 2020, eq. 6).
  TT_HD V centre_distance() const {
    const V dx = (pred.x_min + pred.x_max - target.x_min - target.x_max) * T(0.5);
    const V dy = (pred.y_min + pred.y_max - target.y_min - target.y_max) * T(0.5);
    const V w = hull.width(), h = hull.height();
    return (dx * dx + dy * dy) / (w * w + h * h + T(kBoxEpsilon));
  }
};

/// Hands a dual out as an eval does: writes the slopes, returns the value.
template <class T>
TT_HD T value_and_slope(const Dual<T, 4>& x, T* dp) {
  for (int i = 0; i < 4; ++i) dp[i] = x.slope[i];
  return x.value;
}

}  // namespace telltale
