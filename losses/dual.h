#pragma once
// Forward-mode differentiation: a formula written once gives its value and its slopes.
#include <cmath>

#include "kernels/core/tensor.h"

namespace telltale {

/// A number and its N partial derivatives (Clifford 1873). Plain numbers convert to constants. At a kink of min or max
/// the two branches' slopes are averaged, as in PyTorch.
template <class T, int N>
struct Dual {
  T value;
  T slope[N];

  TT_HD Dual(T constant = 0) : value(constant) {
    for (T& s : slope) s = 0;
  }
  /// The i-th variable.
  static TT_HD Dual variable(T value, int i) {
    Dual x(value);
    x.slope[i] = 1;
    return x;
  }
  friend TT_HD Dual operator+(const Dual& a, const Dual& b) { return chain(a.value + b.value, a, 1, b, 1); }
  friend TT_HD Dual operator-(const Dual& a, const Dual& b) { return chain(a.value - b.value, a, 1, b, -1); }
  friend TT_HD Dual operator*(const Dual& a, const Dual& b) { return chain(a.value * b.value, a, b.value, b, a.value); }
  friend TT_HD Dual operator/(const Dual& a, const Dual& b) {  // no b²: it would leave float's range long before b
    const T q = a.value / b.value, r = 1 / b.value;
    return chain(q, a, r, b, -q * r);
  }
  friend TT_HD Dual min(const Dual& a, const Dual& b) {
    return a.value < b.value ? a : b.value < a.value ? b : middle(a, b);
  }
  friend TT_HD Dual max(const Dual& a, const Dual& b) {
    return a.value > b.value ? a : b.value > a.value ? b : middle(a, b);
  }
  /// The angle of the point (x, y). The origin, which has no slope, gets 0.
  friend TT_HD Dual atan2(const Dual& y, const Dual& x) {
    const T d = x.value * x.value + y.value * y.value;
    return chain(std::atan2(y.value, x.value), y, d > 0 ? x.value / d : 0, x, d > 0 ? -y.value / d : 0);
  }

 private:
  /// f(a, b) with the partial derivatives of f.
  static TT_HD Dual chain(T f, const Dual& a, T f_a, const Dual& b, T f_b) {
    Dual y(f);
    for (int i = 0; i < N; ++i) y.slope[i] = f_a * a.slope[i] + f_b * b.slope[i];
    return y;
  }
  /// Equal values, or a NaN, which must not be lost.
  static TT_HD Dual middle(const Dual& a, const Dual& b) {
    return chain((a.value + b.value) / 2, a, T(0.5), b, T(0.5));
  }
};

}  // namespace telltale
