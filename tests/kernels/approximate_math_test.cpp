// A GPU's approximations, for which 16 bits have no use: here with the largest errors that its manual allows.
#include "kernels/parts/approximate_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/device/half.h"

namespace telltale {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// v with subnormal numbers as 0, then two ulps towards kTowards · infinity.
template <int kTowards>
float off(double v) {
  float f = float(v);
  if (std::fabs(f) < std::numeric_limits<float>::min()) return 0;
  if (!std::isfinite(f)) return f;
  for (int i = 0; i < 2; ++i) f = std::nextafter(f, kTowards * kInfinity);
  return f;
}

template <int kExp2, int kReciprocal>
struct Approximations {
  static float exp2(float x) { return off<kExp2>(std::exp2(double(x))); }
  static float reciprocal(float x) { return off<kReciprocal>(1 / double(x)); }
};

/// An eighth of f16's ulp, and so a 64th of bf16's: what is left of the result is its own rounding.
void expect_near(float actual, double expected, float x) {
  const double bound = std::max(std::fabs(expected), 1e-3) / 2048 / 8;
  ASSERT_LE(std::fabs(actual - expected), bound) << x << ": " << actual << ", expected " << expected;
}

template <class P, class T>
void check_every() {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    T number;
    number.bits = uint16_t(bits);
    const float x = load(number);
    const float sigmoid = approximate_sigmoid<P>(x), elu = approximate_elu<P>(x);
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(sigmoid) && std::isnan(elu)) << bits;
    } else {
      ASSERT_NO_FATAL_FAILURE(expect_near(sigmoid, 1 / (1 + std::exp(-double(x))), x));
      if (x > 0)
        ASSERT_EQ(elu, x);
      else
        ASSERT_NO_FATAL_FAILURE(expect_near(elu, std::expm1(double(x)), x));
    }
  }
}

template <class P>
void check_types() {
  check_every<P, bf16>();
  check_every<P, f16>();
}

TEST(ApproximateMath, EveryNumberOf16BitsIsWithinAnEighthUlp) {
  check_types<Approximations<1, 1>>();
  check_types<Approximations<1, -1>>();
  check_types<Approximations<-1, 1>>();
  check_types<Approximations<-1, -1>>();
}

}  // namespace
}  // namespace telltale
