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
  static void sample(Random& random, double* p, double* t, int i) { sample_logit(random, p, t, i); }
};

TT_REGISTER_LOSS("bce", Bce);

}  // namespace telltale
