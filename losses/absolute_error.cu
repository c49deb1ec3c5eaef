#include "losses/sample_loss.h"

namespace telltale {

/// weight·|p − t|; a sample is one number, so that images of any shape are a batch of them. DeepFillv2's reconstruction
/// loss with weight 1/(numbers of the batch). Gradient 0 where p = t, as in PyTorch.
struct AbsoluteError {
  static constexpr const char* about = "weight·|p - t| of single numbers: what a generator's image is compared by";
  static constexpr int pred = 1, target = 1;
  double weight = 1;
  static constexpr Setting<AbsoluteError> settings[] = {{"weight", &AbsoluteError::weight}};
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    return T(weight) * abs(p[0] - t[0]);
  }
  template <class T>
  TT_HD T eval(const T* p, const T* t, T* dp) const {
    const T d = p[0] - t[0], w = T(weight);
    dp[0] = d > 0 ? w : d < 0 ? -w : T(0);
    return w * (d < 0 ? -d : d);
  }
  static void sample(Random& random, double* p, double* t, int i) {
    t[0] = random.normal();
    p[0] = i % 4 == 0 ? t[0] : t[0] + random.normal();
  }
};

TT_REGISTER_LOSS("absolute_error", AbsoluteError);

}  // namespace telltale
