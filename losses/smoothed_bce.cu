#include "losses/bce.h"
#include "losses/sample_loss.h"

namespace telltale {

/// Binary cross-entropy with logits against t·(1 − s) + s/2: label smoothing over two classes (Szegedy 2016,
/// "Rethinking the Inception architecture", section 7).
struct SmoothedBce {
  static constexpr const char* about = "binary cross-entropy with smoothed labels (Szegedy 2016, section 7)";
  static constexpr int pred = 1, target = 1;
  double smoothing = 0.1;
  static constexpr Setting<SmoothedBce> settings[] = {{"smoothing", &SmoothedBce::smoothing, 0, 1}};
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    return bce_with_logits(p[0], t[0] * T(1 - smoothing) + T(smoothing / 2));
  }
};

TT_REGISTER_LOSS("smoothed_bce", SmoothedBce);

}  // namespace telltale
