#pragma once
// The classification formula that bce.cu, focal_bce.cu and smoothed_bce.cu share.
#include "losses/dual.h"

namespace telltale {

/// Binary cross-entropy of sigmoid(x) against t in [0, 1]. −t·log σ(x) − (1−t)·log(1−σ(x)) is written as
/// max(x,0) − x·t + log(1+exp(−|x|)), which overflows for no x.
template <class V, class T>
TT_HD V bce_with_logits(const V& x, T t) {
  return max(x, V(0)) - x * t + log1p(exp(-abs(x)));
}

}  // namespace telltale
