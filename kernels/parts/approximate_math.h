#pragma once
// Activations by a GPU's own exponential and reciprocal, for results that are rounded to 16 bits: an eighth of the
// instructions of fast_math.h's. P names the two, so that a test can put errors of their size in their place.
#include "kernels/device/tensor.h"

namespace telltale {

#ifdef __CUDACC__
/// Within 2 ulps; below 2^-126 there is 0.
struct DeviceApproximations {
  __device__ static float exp2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
  __device__ static float reciprocal(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
};
#endif

/// 1 / (1 + e^−x): an exponential beyond the range of float is infinite, and its reciprocal 0.
template <class P>
TT_HD inline float approximate_sigmoid(float x) {
  return P::reciprocal(1.f + P::exp2(-1.44269504f * x));
}

/// elu x. Near 0, where e^x − 1 would lose what it has in common with 1, its series.
template <class P>
TT_HD inline float approximate_elu(float x) {
  const float series = x * (0.5f * x) + x, difference = P::exp2(1.44269504f * x) - 1.f;
  return x > 0 ? x : x > -1.f / 64 ? series : difference;
}

}  // namespace telltale
