#include "losses/bce.h"
#include "losses/sample_loss.h"

namespace telltale {

/// a_t·(1 − p_t)^γ·BCE with logits, p_t the probability given to the label, a_t = a for label 1 and 1 − a for 0 (Lin
/// 2017, "Focal loss for dense object detection", eq. 5; torchvision's sigmoid_focal_loss, where a is alpha). t: in [0,
/// 1].
struct FocalBce {
  static constexpr const char* about = "focal loss: BCE times (1 − p_t)^gamma, classes balanced (Lin 2017)";
  static constexpr int pred = 1, target = 1;
  double gamma = 2, balance = 0.25;
  static constexpr Setting<FocalBce> settings[] = {{"gamma", &FocalBce::gamma, 0, 16},
                                                   {"balance", &FocalBce::balance, 0, 1}};
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    const T a = T(balance) * t[0] + T(1 - balance) * (1 - t[0]);
    const V missed = t[0] * sigmoid(-p[0]) + (1 - t[0]) * sigmoid(p[0]);  // 1 − p_t, exact where p_t is nearly 1
    return a * pow(missed, T(gamma)) * bce_with_logits(p[0], t[0]);
  }
};

TT_REGISTER_LOSS("focal_bce", FocalBce);

}  // namespace telltale
