#pragma once
// The formula that eiou.cu and focal_eiou.cu share.
#include "losses/box_geometry.h"

namespace telltale {

/// 1 − IoU + ρ²/(d² + ε) + (w − w*)²/(W² + ε) + (h − h*)²/(H² + ε), W and H the hull's sides, d its diagonal (Zhang
/// 2021, "Focal and efficient IOU loss for accurate bounding box regression"). In [0, 4].
template <class V, class T>
TT_HD V efficient_iou(const BoxPair<V, T>& b) {
  const V w = b.hull.width(), h = b.hull.height();
  const V dw = b.pred.width() - b.target.width(), dh = b.pred.height() - b.target.height();
  return 1 - b.iou + b.centre_distance() + dw * dw / (w * w + T(kBoxEpsilon)) + dh * dh / (h * h + T(kBoxEpsilon));
}

}  // namespace telltale
