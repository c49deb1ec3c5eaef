#include "losses/sample_loss.h"

namespace telltale {

/// weight·max(0, 1 − t·p): what a discriminator minimises (Lim & Ye 2017, "Geometric GAN"). p: its score of one patch;
/// t: +1 real, −1 generated. Gradient 0 where t·p = 1, as in PyTorch.
struct Hinge {
  static constexpr const char* about = "weight·max(0, 1 - t·p): a discriminator's (Lim & Ye 2017, Geometric GAN)";
  static constexpr int pred = 1, target = 1;
  double weight = 1;
  static constexpr Setting<Hinge> settings[] = {{"weight", &Hinge::weight}};
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    const V short_of = T(1) - t[0] * p[0];
    return short_of <= V(T(0)) ? V(T(0)) : T(weight) * short_of;  // not "> 0": NaN must stay visible
  }
  template <class T>
  TT_HD T eval(const T* p, const T* t, T* dp) const {
    dp[0] = 1 - t[0] * p[0] <= 0 ? T(0) : -T(weight) * t[0];
    return value(p, t);
  }
  static void sample(Random& random, double* p, double* t, int i) {
    t[0] = i % 2 ? 1 : -1;
    p[0] = i % 5 == 0 ? t[0] : 3 * random.normal();
  }
};

TT_REGISTER_LOSS("hinge", Hinge);

}  // namespace telltale
