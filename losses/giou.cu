#include "losses/box_geometry.h"
#include "losses/sample_loss.h"

namespace telltale {

/// 1 − IoU + (C − U)/(C + ε), C the hull's area, U the union's (Rezatofighi 2019, eq. 4–6). In [0, 2]; 1 for two equal
/// empty boxes.
struct Giou {
  static constexpr int pred = 4, target = 4;
  template <class T>
  TT_HD T eval(const T* p, const T* t, T* dp) const {
    const BoxPair<T> b(p, t);
    const auto hull = b.hull.area();
    return value_and_slope(1 - b.iou + (hull - b.joint) / (hull + T(kBoxEpsilon)), dp);
  }
  static void sample(Random& random, double* p, double* t, int i) { sample_boxes(random, p, t, i); }
};

TT_REGISTER_LOSS("giou", Giou);

}  // namespace telltale
