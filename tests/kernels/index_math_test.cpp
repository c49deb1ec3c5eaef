// Index arithmetic that stands in for division and for loops must give what they give.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include "kernels/parts/divisor.h"
#include "kernels/parts/triangle.h"

namespace telltale {
namespace {

constexpr int kMost = std::numeric_limits<int32_t>::max();

TEST(Divisor, DividesAsDivisionDoes) {
  for (const int d :
       {1, 2, 3, 5, 7, 10, 48, 56, 112, 255, 256, 257, 641, 4095, 65535, 65537, 1 << 30, kMost - 1, kMost}) {
    const Divisor by(d);
    // Where a quotient steps is where a rounded factor would show.
    for (const int64_t quotient : {int64_t(0), int64_t(1), int64_t(2), int64_t(1000), int64_t(kMost / d / 2),
                                   int64_t(kMost / d - 1), int64_t(kMost / d)}) {
      for (const int64_t i : {quotient * d - 1, quotient * d, quotient * d + 1}) {
        if (i < 0 || i > kMost) continue;
        ASSERT_EQ(by.divide(int(i)), i / d) << i << " / " << d;
        ASSERT_EQ(by.quotient(i), i / d) << i << " / " << d;
      }
    }
    for (const int64_t i : {int64_t(kMost), int64_t(kMost) + 1, int64_t(1) << 32, (int64_t(1) << 40) + 12345})
      ASSERT_EQ(by.quotient(i), i / d) << i << " / " << d;
  }
  for (int d = 1; d < 400; ++d) {
    const Divisor by(d);
    for (int i = 0; i < 4000; ++i) ASSERT_EQ(by.divide(i), i / d) << i << " / " << d;
  }
}

TEST(TriangleAxis, TapsAreThoseWithPositiveWeightAndTotalsTheirSum) {
  for (int in = 1; in < 40; ++in) {
    for (int out = 1; out < 40; ++out) {
      const TriangleAxis axis(in, out);
      for (int o = 0; o < out; ++o) {
        const TriangleTaps taps = axis.taps(o);
        int64_t total = 0;
        for (int i = 0; i < in; ++i) {
          const int64_t apart = std::abs((2 * i + 1) * out - (2 * o + 1) * in), weight = 2 * std::max(in, out) - apart;
          ASSERT_EQ(weight > 0, i >= taps.begin && i < taps.end) << in << " to " << out << ", " << o << " reads " << i;
          if (weight <= 0) continue;
          ASSERT_EQ(taps.weight(i), weight) << in << " to " << out << ", " << o << " reads " << i;
          total += weight;
        }
        ASSERT_EQ(taps.total(), total) << in << " to " << out << ", " << o;
      }
    }
  }
}

}  // namespace
}  // namespace telltale
