#include "losses/box_geometry.h"
#include "losses/sample_loss.h"

namespace telltale {

/// 1 − IoU^α (He 2021, "Alpha-IoU", its basic form). In [0, 1]. α < 1 is refused: its gradient grows without bound
/// where boxes begin to touch.
struct AlphaIou {
  static constexpr const char* about = "1 − IoU^power (He 2021, Alpha-IoU; power is its alpha)";
  static constexpr int pred = 4, target = 4;
  double power = 3;  // not "alpha": recipes and cases call the classification's weight that
  static constexpr Setting<AlphaIou> settings[] = {{"power", &AlphaIou::power, 1, 16}};
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    return 1 - pow(BoxPair(p, t).iou, T(power));
  }
};

TT_REGISTER_LOSS("alpha_iou", AlphaIou);

}  // namespace telltale
