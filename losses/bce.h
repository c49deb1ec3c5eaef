#pragma once
// The classification formula that bce.cu, focal_bce.cu and smoothed_bce.cu share, and the plain one itself, which every
// box loss can run beside its own (losses/rows.h).
#include "losses/dual.h"

namespace telltale {

/// Binary cross-entropy of sigmoid(x) against t in [0, 1]. −t·log σ(x) − (1−t)·log(1−σ(x)) is written as
/// max(x,0) − x·t + log(1+exp(−|x|)), which overflows for no x.
template <class V, class T>
TT_HD V bce_with_logits(const V& x, T t) {
  return max(x, V(0)) - x * t + log1p(exp(-abs(x)));
}

/// Binary cross-entropy with logits, gradient σ(x) − t. p: a logit; t: a probability in [0, 1].
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

}  // namespace telltale
