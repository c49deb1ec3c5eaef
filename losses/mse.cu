#include "losses/sample_loss.h"

namespace telltale {

/// Mean over the four numbers of (p − t)².
struct Mse {
  static constexpr const char* about = "mean of the four squared differences";
  static constexpr int pred = 4, target = 4;
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    V sum = T(0);
    for (int k = 0; k < 4; ++k) sum += (p[k] - t[k]) * (p[k] - t[k]);
    return sum / T(4);
  }
  template <class T>
  TT_HD T eval(const T* p, const T* t, T* dp) const {
    T sum = 0;
    for (int k = 0; k < 4; ++k) {
      const T d = p[k] - t[k];
      sum += d * d;
      dp[k] = d / 2;
    }
    return sum / 4;
  }
  static void sample(Random& random, double* p, double* t, int i) { sample_numbers(random, p, t, i); }
};

TT_REGISTER_LOSS("mse", Mse);

}  // namespace telltale
