#include "losses/eiou.h"
#include "losses/sample_loss.h"

namespace telltale {

/// See efficient_iou.
struct Eiou {
  static constexpr const char* about = "DIoU + squared differences of the sides over the hull's (Zhang 2021, EIoU)";
  static constexpr int pred = 4, target = 4;
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    return efficient_iou(BoxPair(p, t));
  }
};

TT_REGISTER_LOSS("eiou", Eiou);

}  // namespace telltale
