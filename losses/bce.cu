#include "losses/bce.h"
#include "losses/sample_loss.h"

namespace telltale {

/// Binary cross-entropy with logits, slope σ(x) − t. p: a logit; t: a probability in [0, 1].
struct Bce {
  static constexpr const char* about = "binary cross-entropy of a logit";
  static constexpr int pred = 1, target = 1;
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    return bce_with_logits(p[0], t[0]);
  }
  template <class T>
  TT_HD T eval(const T* p, const T* t, T* dp) const {
    dp[0] = sigmoid(p[0]) - t[0];
    return bce_with_logits(p[0], t[0]);
  }
};

TT_REGISTER_LOSS("bce", Bce);

}  // namespace telltale
