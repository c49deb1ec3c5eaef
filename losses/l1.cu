#include "losses/sample_loss.h"

namespace telltale {

/// Mean over the four numbers of |p − t|.
struct L1 {
  static constexpr const char* about = "mean of the four absolute differences";
  static constexpr int pred = 4, target = 4;
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    V sum = T(0);
    for (int k = 0; k < 4; ++k) sum += abs(p[k] - t[k]);
    return sum / T(4);
  }
  static void sample(Random& random, double* p, double* t, int i) { sample_numbers(random, p, t, i); }
};

TT_REGISTER_LOSS("l1", L1);

}  // namespace telltale
