#include "losses/box_geometry.h"
#include "losses/sample_loss.h"

namespace telltale {

/// 1 − IoU (the linear form; Yu 2016, "UnitBox", takes −ln IoU, which has no value where boxes are apart). In [0, 1];
/// without a gradient where boxes are apart.
struct Iou {
  static constexpr const char* about = "1 − IoU (after Yu 2016, UnitBox); no gradient where boxes are apart";
  static constexpr int pred = 4, target = 4;
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    return 1 - BoxPair(p, t).iou;
  }
};

TT_REGISTER_LOSS("iou", Iou);

}  // namespace telltale
