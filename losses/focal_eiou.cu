#include "losses/eiou.h"
#include "losses/sample_loss.h"

namespace telltale {

/// IoU^γ · EIoU (Zhang 2021, "Focal and efficient IOU loss"). IoU^γ is a weight, so backward holds it: through it boxes
/// apart would be the best ones, and its gradient is infinite at IoU = 0. Boxes apart weigh nothing.
struct FocalEiou {
  static constexpr const char* about =
      "IoU^gamma · EIoU, the weight held (Zhang 2021); no gradient where boxes are apart";
  static constexpr int pred = 4, target = 4;
  double gamma = 0.5;
  static constexpr Setting<FocalEiou> settings[] = {{"gamma", &FocalEiou::gamma, 0, 16}};
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    const BoxPair b(p, t);
    return stop_gradient(pow(b.iou, T(gamma))) * efficient_iou(b);
  }
};

TT_REGISTER_LOSS("focal_eiou", FocalEiou);

}  // namespace telltale
