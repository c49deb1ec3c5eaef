#include "losses/box_geometry.h"
#include "losses/sample_loss.h"

namespace telltale {

/// DIoU + α·v, v = 4/π²·(atan(w*/h*) − atan(w/h))², α = v/(1 − IoU + v + ε) (Zheng 2020, eq. 8–11); backward holds α,
/// as torchvision does.
struct Ciou {
  static constexpr const char* about = "DIoU + alpha·v, v the aspect ratios' difference, alpha held (Zheng 2020)";
  static constexpr int pred = 4, target = 4;
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    constexpr T kFourOverPiSquared = T(0.40528473456935108577551785283891);
    const BoxPair b(p, t);
    // atan2 instead of atan of a quotient: an empty box has no w/h.
    const V d = atan2(b.target.width(), b.target.height()) - atan2(b.pred.width(), b.pred.height());
    const V v = kFourOverPiSquared * d * d, alpha = stop_gradient(v / (1 - b.iou + v + T(kBoxEpsilon)));
    return 1 - b.iou + b.centre_distance() + alpha * v;
  }
};

TT_REGISTER_LOSS("ciou", Ciou);

}  // namespace telltale
