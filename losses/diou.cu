#include "losses/box_geometry.h"
#include "losses/sample_loss.h"

namespace telltale {

/// 1 − IoU + ρ²/(d² + ε): the distance of the centres beside the overlap (Zheng 2020, "Distance-IoU loss", eq. 7). In
/// [0, 2].
struct Diou {
  static constexpr const char* about = "1 − IoU + squared centre distance / squared hull diagonal (Zheng 2020)";
  static constexpr int pred = 4, target = 4;
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    const BoxPair b(p, t);
    return 1 - b.iou + b.centre_distance();
  }
};

TT_REGISTER_LOSS("diou", Diou);

}  // namespace telltale
