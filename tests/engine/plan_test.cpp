// The planner is arithmetic: no device needed.
#include "engine/plan.h"

#include <gtest/gtest.h>

#include "kernels/device/philox.h"

namespace telltale {
namespace {

TEST(Plan, TensorsAliveTogetherNeverOverlap) {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> t(size_t(random.integer(1, 60)));
    for (Lifetime& l : t) {
      l.bytes = size_t(random.integer(0, 5000));
      l.first = int(random.integer(0, 40));
      l.last = l.first + int(random.integer(0, 20));
    }
    const Placement p = place(t);
    for (size_t i = 0; i < t.size(); ++i) {
      EXPECT_EQ(p.offsets[i] % 256, 0u);
      EXPECT_LE(p.offsets[i] + t[i].bytes, p.total);
      for (size_t j = 0; j < i; ++j) {
        const bool together = t[i].first <= t[j].last && t[j].first <= t[i].last;
        const bool overlap = p.offsets[i] < p.offsets[j] + t[j].bytes && p.offsets[j] < p.offsets[i] + t[i].bytes;
        EXPECT_FALSE(together && overlap && t[i].bytes && t[j].bytes) << i << " and " << j;
      }
    }
    EXPECT_GE(p.total, peak(t));
  }
}

TEST(Plan, ReusesMemoryOfTheDead) {
  const Placement p = place({{1000, 0, 1}, {1000, 1, 2}, {1000, 2, 3}, {1000, 3, 4}});
  EXPECT_EQ(p.total, 2048u) << "a chain needs room for two";
  EXPECT_EQ(place({}).total, 0u);
}

}  // namespace
}  // namespace telltale
