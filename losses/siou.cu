#include "losses/box_geometry.h"
#include "losses/sample_loss.h"

namespace telltale {

/// 1 − IoU + (Δ + Ω)/2 (Gevorgyan 2022, "SIoU loss"). Distance cost Δ = Σ over x, y of 1 − exp(−(2 − Λ)·(d/D)²), d the
/// centres' distance along the axis, D the hull's side. Shape cost Ω = Σ over sides of (1 − exp(−|w − w*|/max(w,
/// w*)))^θ. Angle cost Λ = 1 − 2·sin²(asin(|dy|/ρ) − π/4), which is sin 2α = 2·|dx|·|dy|/ρ²: no arcsine, whose gradient
/// is infinite.
struct Siou {
  static constexpr const char* about = "1 − IoU + (distance cost + shape cost)/2 (Gevorgyan 2022, SIoU)";
  static constexpr int pred = 4, target = 4;
  double theta = 4;
  static constexpr Setting<Siou> settings[] = {{"theta", &Siou::theta, 1, 16}};
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    const BoxPair b(p, t);
    const V dx = b.centre_x(), dy = b.centre_y();
    const V angle = 2 * abs(dx) * abs(dy) / (dx * dx + dy * dy + T(kBoxEpsilon));
    const V distance = near(dx, b.hull.width(), angle) + near(dy, b.hull.height(), angle);
    const V shape = unlike(b.pred.width(), b.target.width()) + unlike(b.pred.height(), b.target.height());
    return 1 - b.iou + (distance + shape) / T(2);
  }

 private:
  template <class V>
  static TT_HD V near(const V& d, const V& side, const V& angle) {
    return 1 - exp((angle - 2) * (d * d / (side * side + kBoxEpsilon)));
  }
  template <class V, class T>
  TT_HD V unlike(const V& side, T target_side) const {
    return pow(1 - exp(-abs(side - target_side) / (max(side, V(target_side)) + T(kBoxEpsilon))), T(theta));
  }
};

TT_REGISTER_LOSS("siou", Siou);

}  // namespace telltale
