#pragma once
// The exponentials that activations need, as polynomials: the same formula on both devices, and on the host one that
// fills vector registers where the library's would be called element by element.
#include <cmath>

#include "kernels/device/half.h"

namespace telltale {

/// e^x − 1 on [−ln2/2, ln2/2] and 2^n, where x = r + n·ln2; x < −87.3 gives a scale of 0.
struct ReducedExp {
  float expm1_r, scale;
  /// x ≤ 0 or NaN; above 0 nothing traps but the numbers mean nothing.
  TT_HD explicit ReducedExp(float x) {
    constexpr float kLowest = -87.33654f;  // ln of the smallest normal number
    const float y = x < kLowest ? kLowest : x;
    // Adding 1.5·2²³ leaves the nearest integer in the low bits.
    constexpr float kRounder = 12582912.f;
    const float shifted = y * 1.44269504f + kRounder;
    const float n = shifted - kRounder;
    // ln2 in two parts, the first short enough for n times it to be exact (Cody & Waite 1980).
    const float r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;  // minimax coefficients of Cephes' expf
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    expm1_r = p * (r * r) + r;
    const float power = float_of((bits_of(shifted) - bits_of(kRounder) + 127u) << 23);
    scale = x < kLowest ? 0.f : power;
  }
};

/// e^x for x ≤ 0, within 2 ulps down to 1.2e-38, below which it is 0. NaN stays NaN.
TT_HD inline float exp_nonpositive(float x) {
  const ReducedExp e(x);
  return e.scale * e.expm1_r + e.scale;
}
TT_HD inline double exp_nonpositive(double x) { return exp(x); }

/// e^x − 1 for x ≤ 0, within 2 ulps; NaN stays NaN.
TT_HD inline float expm1_nonpositive(float x) {
  const ReducedExp e(x);
  return e.scale * e.expm1_r + (e.scale - 1.f);
}
TT_HD inline double expm1_nonpositive(double x) { return expm1(x); }

/// tanh x, within 3 ulps; NaN stays NaN.
TT_HD inline float fast_tanh(float x) {
  const float q = expm1_nonpositive(x > 0 ? -2 * x : 2 * x);  // e^(−2|x|) − 1
  const float t = q / (2.f + q);                              // −tanh |x|
  return x > 0 ? -t : t;
}
TT_HD inline double fast_tanh(double x) { return tanh(x); }

}  // namespace telltale
