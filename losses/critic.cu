#include "losses/sample_loss.h"

namespace telltale {

/// −weight·t·p: what a generator minimises against a hinge discriminator, with t = 1 (Lim & Ye 2017, "Geometric GAN").
/// p: the score of one patch.
struct Critic {
  static constexpr const char* about = "-weight·t·p: a generator's against a hinge discriminator (Lim & Ye 2017)";
  static constexpr int pred = 1, target = 1;
  double weight = 1;
  static constexpr Setting<Critic> settings[] = {{"weight", &Critic::weight}};
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    return -T(weight) * t[0] * p[0];
  }
  template <class T>
  TT_HD T eval(const T* p, const T* t, T* dp) const {
    dp[0] = -T(weight) * t[0];
    return value(p, t);
  }
  static void sample(Random& random, double* p, double* t, int i) {
    t[0] = i % 2 ? 1 : -1;
    p[0] = 3 * random.normal();
  }
};

TT_REGISTER_LOSS("critic", Critic);

}  // namespace telltale
