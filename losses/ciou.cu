#include "losses/box_geometry.h"
#include "losses/sample_loss.h"

namespace telltale {

/// DIoU + α·v, v = 4/π²·(atan(w*/h*) − atan(w/h))², α = v/(1 − IoU + v + ε) (Zheng 2020, eq. 8–11); backward holds α,
/// as torchvision does.
struct Ciou {
  static constexpr int pred = 4, target = 4;
  /// v. atan2 instead of atan of a quotient: an empty box has no w/h.
  template <class T>
  static TT_HD Dual<T, 4> aspect(const BoxPair<T>& b) {
    constexpr T kFourOverPiSquared = T(0.40528473456935108577551785283891);
    const auto d = atan2(b.target.width(), b.target.height()) - atan2(b.pred.width(), b.pred.height());
    return kFourOverPiSquared * d * d;
  }
  /// α.
  template <class T>
  TT_HD T held(const T* p, const T* t) const {
    const BoxPair<T> b(p, t);
    const T v = aspect(b).value;
    return v / (1 - b.iou.value + v + T(kBoxEpsilon));
  }
  template <class T>
  TT_HD T eval(const T* p, const T* t, T alpha, T* dp) const {
    const BoxPair<T> b(p, t);
    return value_and_slope(1 - b.iou + b.centre_distance() + alpha * aspect(b), dp);
  }
  static void sample(Random& random, double* p, double* t, int i) { sample_boxes(random, p, t, i); }
};

TT_REGISTER_LOSS("ciou", Ciou);

}  // namespace telltale
