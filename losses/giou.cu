#include "losses/box_geometry.h"
#include "losses/sample_loss.h"

namespace telltale {

/// 1 − IoU + (C − U)/(C + ε), C the hull's area, U the union's (Rezatofighi 2019, eq. 4–6). In [0, 2]; 1 for two equal
/// empty boxes.
struct Giou {
  static constexpr const char* about = "1 − IoU + (hull − union)/hull (Rezatofighi 2019, Generalized IoU)";
  static constexpr int pred = 4, target = 4;
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    const BoxPair b(p, t);
    const V hull = b.hull.area();
    return 1 - b.iou + (hull - b.joint) / (hull + T(kBoxEpsilon));
  }
};

TT_REGISTER_LOSS("giou", Giou);

}  // namespace telltale
