#include "losses/bce.h"
#include "losses/sample_loss.h"

namespace telltale {

/// Binary cross-entropy with logits. p: a logit; t: a probability in [0, 1].
struct Bce {
  static constexpr int pred = 1, target = 1;
  template <class T>
  TT_HD T eval(const T* p, const T* t, T* dp) const {
    return bce_with_logits(p[0], t[0], dp);
  }
  static void sample(Random& random, double* p, double* t, int i) {
    constexpr double kScale[] = {1, 10, 1e-4, 1000};
    p[0] = i % 7 ? kScale[i % 4] * random.normal() : 0;
    t[0] = i % 3 ? i % 2 : random.uniform();
  }
};

TT_REGISTER_LOSS("bce", Bce);

}  // namespace telltale
