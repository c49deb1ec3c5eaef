#pragma once
// Host-device mathematics: one formula for both devices and for float and double.
#include <cmath>

#include "kernels/device/tensor.h"
#include "kernels/parts/fast_math.h"

namespace telltale {

template <class T>
TT_HD inline T sigmoid(T x) {  // never overflows: exp of a negative number only
  const T e = exp_nonpositive(x < 0 ? x : -x);
  return (x < 0 ? e : T(1)) / (T(1) + e);
}

/// y = act(x).
template <class T>
TT_HD inline T activate(Act act, T x) {
  switch (act) {
    case Act::relu: return x > 0 ? x : T(0);
    case Act::elu: return x > 0 ? x : expm1_nonpositive(x);
    case Act::sigmoid: return sigmoid(x);
    case Act::tanh: return fast_tanh(x);
    default: return x;
  }
}

/// d act / d x, written in the output y = act(x): backward needs no second copy of x. At relu's kink the gradient is 0,
/// as in PyTorch.
template <class T>
TT_HD inline T activation_gradient(Act act, T y) {
  switch (act) {
    case Act::relu: return y > 0 ? T(1) : T(0);
    case Act::elu: return y > 0 ? T(1) : y + T(1);
    case Act::sigmoid: return y * (T(1) - y);
    case Act::tanh: return T(1) - y * y;
    default: return T(1);
  }
}

/// Rounds up.
TT_HD constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace telltale
