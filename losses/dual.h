#pragma once
// Forward-mode differentiation: a formula written once gives its value and its gradients.
#include <cmath>

#include "kernels/parts/math.h"

namespace telltale {

// A formula calls these by their bare names: here they are for plain numbers, and a Dual brings its own.
using std::abs, std::sqrt, std::exp, std::log, std::log1p, std::pow, std::sin, std::cos, std::atan, std::atan2,
    std::tanh;
template <class T>
TT_HD T min(T a, T b) {
  return a < b ? a : b < a ? b : (a + b) / 2;  // the sum, so that a NaN is not lost
}
template <class T>
TT_HD T max(T a, T b) {
  return a > b ? a : b > a ? b : (a + b) / 2;
}

/// What stop_gradient keeps of a value: all of it. Checks of gradients keep another one (losses/gradient_check.h).
struct KeepValue {
  template <class T>
  static TT_HD T constant(T x) {
    return x;
  }
};

/// A number and its N partial derivatives (Clifford 1873). Plain numbers are constants. At a kink of min, max or abs
/// the two branches' gradients are averaged, as in PyTorch. Where a function's gradient is infinite (sqrt, pow and
/// atan2 at 0) it counts as 0, so that the distance of two equal points has a gradient; if the whole formula's is
/// infinite, the gradient check says so.
template <class T, int N, class Constants = KeepValue>
struct Dual {
  T value;
  T gradient[N];

  TT_HD Dual(T constant = 0) : value(constant) {
    for (T& s : gradient) s = 0;
  }
  /// The i-th variable.
  static TT_HD Dual variable(T value, int i) {
    Dual x(value);
    x.gradient[i] = 1;
    return x;
  }

  friend TT_HD Dual operator+(const Dual& a, const Dual& b) { return chain(a.value + b.value, a, 1, b, 1); }
  friend TT_HD Dual operator-(const Dual& a, const Dual& b) { return chain(a.value - b.value, a, 1, b, -1); }
  friend TT_HD Dual operator*(const Dual& a, const Dual& b) { return chain(a.value * b.value, a, b.value, b, a.value); }
  friend TT_HD Dual operator/(const Dual& a, const Dual& b) {  // no b²: it would leave float's range long before b
    const T q = a.value / b.value, r = 1 / b.value;
    return chain(q, a, r, b, -q * r);
  }
  // Constants apart: their zero gradients would cost time, and times infinity be NaN.
  friend TT_HD Dual operator+(const Dual& a, T b) { return chain(a.value + b, a, 1); }
  friend TT_HD Dual operator+(T a, const Dual& b) { return chain(a + b.value, b, 1); }
  friend TT_HD Dual operator-(const Dual& a, T b) { return chain(a.value - b, a, 1); }
  friend TT_HD Dual operator-(T a, const Dual& b) { return chain(a - b.value, b, -1); }
  friend TT_HD Dual operator*(const Dual& a, T b) { return chain(a.value * b, a, b); }
  friend TT_HD Dual operator*(T a, const Dual& b) { return chain(a * b.value, b, a); }
  friend TT_HD Dual operator/(const Dual& a, T b) { return chain(a.value / b, a, 1 / b); }
  friend TT_HD Dual operator/(T a, const Dual& b) { return chain(a / b.value, b, -a / b.value / b.value); }
  friend TT_HD Dual operator-(const Dual& a) { return chain(-a.value, a, -1); }
  TT_HD Dual& operator+=(const Dual& b) { return *this = *this + b; }
  TT_HD Dual& operator-=(const Dual& b) { return *this = *this - b; }
  TT_HD Dual& operator*=(const Dual& b) { return *this = *this * b; }

  // Comparisons look at values: a branch is taken as plain numbers would take it.
  friend TT_HD bool operator<(const Dual& a, const Dual& b) { return a.value < b.value; }
  friend TT_HD bool operator>(const Dual& a, const Dual& b) { return a.value > b.value; }
  friend TT_HD bool operator<=(const Dual& a, const Dual& b) { return a.value <= b.value; }
  friend TT_HD bool operator>=(const Dual& a, const Dual& b) { return a.value >= b.value; }

  friend TT_HD Dual min(const Dual& a, const Dual& b) {
    return a.value < b.value ? a : b.value < a.value ? b : middle(a, b);
  }
  friend TT_HD Dual max(const Dual& a, const Dual& b) {
    return a.value > b.value ? a : b.value > a.value ? b : middle(a, b);
  }
  friend TT_HD Dual abs(const Dual& x) { return chain(std::abs(x.value), x, T(x.value > 0) - T(x.value < 0)); }
  friend TT_HD Dual sqrt(const Dual& x) {
    const T root = std::sqrt(x.value);
    return chain(root, x, root > 0 ? T(0.5) / root : 0);
  }
  friend TT_HD Dual exp(const Dual& x) {
    const T e = std::exp(x.value);
    return chain(e, x, e);
  }
  friend TT_HD Dual log(const Dual& x) { return chain(std::log(x.value), x, 1 / x.value); }
  friend TT_HD Dual log1p(const Dual& x) { return chain(std::log1p(x.value), x, 1 / (1 + x.value)); }
  /// x to a constant power.
  friend TT_HD Dual pow(const Dual& x, T power) {
    const T y = std::pow(x.value, power);
    if (power == 0) return Dual(y);
    return chain(y, x, x.value != 0 ? finite_or_zero(power * (y / x.value)) : T(power == 1));
  }
  friend TT_HD Dual sin(const Dual& x) { return chain(std::sin(x.value), x, std::cos(x.value)); }
  friend TT_HD Dual cos(const Dual& x) { return chain(std::cos(x.value), x, -std::sin(x.value)); }
  friend TT_HD Dual atan(const Dual& x) { return chain(std::atan(x.value), x, 1 / (1 + x.value * x.value)); }
  /// The angle of the point (x, y).
  friend TT_HD Dual atan2(const Dual& y, const Dual& x) {
    const T d = x.value * x.value + y.value * y.value;
    return chain(std::atan2(y.value, x.value), y, d > 0 ? x.value / d : 0, x, d > 0 ? -y.value / d : 0);
  }
  friend TT_HD Dual tanh(const Dual& x) {
    const T y = std::tanh(x.value);
    return chain(y, x, 1 - y * y);
  }
  friend TT_HD Dual sigmoid(const Dual& x) {
    const T y = telltale::sigmoid(x.value);
    return chain(y, x, y * telltale::sigmoid(-x.value));  // not y·(1 − y), which is 0 long before it should be
  }
  /// The same value as a constant: what a paper "holds fixed in backward".
  friend TT_HD Dual stop_gradient(const Dual& x) { return Dual(Constants::constant(x.value)); }

 private:
  static TT_HD T finite_or_zero(T x) { return x - x == 0 || x != x ? x : 0; }
  /// f(a) or f(a, b) with the partial derivatives of f.
  static TT_HD Dual chain(T f, const Dual& a, T f_a) {
    Dual y(f);
    for (int i = 0; i < N; ++i) y.gradient[i] = f_a * a.gradient[i];
    return y;
  }
  static TT_HD Dual chain(T f, const Dual& a, T f_a, const Dual& b, T f_b) {
    Dual y(f);
    for (int i = 0; i < N; ++i) y.gradient[i] = f_a * a.gradient[i] + f_b * b.gradient[i];
    return y;
  }
  /// Equal values, or a NaN, which must not be lost.
  static TT_HD Dual middle(const Dual& a, const Dual& b) {
    return chain((a.value + b.value) / 2, a, T(0.5), b, T(0.5));
  }
};

}  // namespace telltale
