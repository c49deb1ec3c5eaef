#include "losses/sample_loss.h"

namespace telltale {

/// Mean over the four numbers of d²/(2β) where |d| < β, else |d| − β/2, with d = p − t (Girshick 2015, "Fast R-CNN",
/// eq. 3; β as in PyTorch, where 0 gives |d|).
struct SmoothL1 {
  static constexpr const char* about = "mean of d²/(2β) where |d| < β, else |d| − β/2 (Girshick 2015, Fast R-CNN)";
  static constexpr int pred = 4, target = 4;
  double beta = 1;
  static constexpr Setting<SmoothL1> settings[] = {{"smooth_l1_beta", &SmoothL1::beta}};
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    const T b = T(beta);
    V sum = T(0);
    for (int k = 0; k < 4; ++k) {
      const V d = p[k] - t[k], size = abs(d);
      sum += size < b ? d * d / (2 * b) : size - b / 2;
    }
    return sum / T(4);
  }
  template <class T>
  TT_HD T eval(const T* p, const T* t, T* dp) const {
    const T b = T(beta);
    T sum = 0;
    for (int k = 0; k < 4; ++k) {
      const T d = p[k] - t[k], size = d < 0 ? -d : d;
      sum += size < b ? d * d / (2 * b) : size - b / 2;
      dp[k] = (size < b ? d / b : T(d > 0) - T(d < 0)) / 4;
    }
    return sum / 4;
  }
  static void sample(Random& random, double* p, double* t, int i) { sample_numbers(random, p, t, i); }
};

TT_REGISTER_LOSS("smooth_l1", SmoothL1);

}  // namespace telltale
