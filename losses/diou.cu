#include "losses/box_geometry.h"
#include "losses/sample_loss.h"

namespace telltale {

/// 1 − IoU + ρ²/(d² + ε): the distance of the centres beside the overlap (Zheng 2020, "Distance-IoU loss", eq. 7). In
/// [0, 2].
struct Diou {
  static constexpr int pred = 4, target = 4;
  template <class T>
  TT_HD T eval(const T* p, const T* t, T* dp) const {
    const BoxPair<T> b(p, t);
    return value_and_slope(1 - b.iou + b.centre_distance(), dp);
  }
  static void sample(Random& random, double* p, double* t, int i) { sample_boxes(random, p, t, i); }
};

TT_REGISTER_LOSS("diou", Diou);

}  // namespace telltale
