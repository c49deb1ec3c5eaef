#pragma once
// The classification formula, shared by bce.cu and the detection loss.
#include <cmath>

#include "kernels/core/math.h"

namespace telltale {

/// Binary cross-entropy of sigmoid(x) against t in [0, 1], and its slope σ(x) − t. −t·log σ(x) − (1−t)·log(1−σ(x)) is
/// written as max(x,0) − x·t + log(1+exp(−|x|)), which overflows for no x.
template <class T>
TT_HD T bce_with_logits(T x, T t, T* slope) {
  *slope = sigmoid(x) - t;
  return (x > 0 ? x : T(0)) - x * t + std::log1p(std::exp(x > 0 ? -x : x));
}

}  // namespace telltale
