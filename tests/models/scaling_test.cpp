// The model of many GPUs, where its result is known.
#include "models/scaling.h"

#include <gtest/gtest.h>

namespace telltale {
namespace {

const Topology kPlain{.gpus_per_node = 4, .in_node = 100, .in_node_latency = 0, .between = 50, .between_latency = 0};
constexpr Reduction kRings = Reduction::rings;
const LoneStep kStep{.before = 1, .backward = {{2, 100}, {2, 300}}, .after = .5};

TEST(Scaling, SumsWithinANodeAndBetweenNodes) {
  const auto rings = [](double bytes, int gpus, const Topology& t) { return reduce_seconds(bytes, gpus, t, kRings); };
  EXPECT_EQ(rings(400, 1, kPlain), 0);
  EXPECT_DOUBLE_EQ(rings(400, 4, kPlain), 2 * 3. / 4 * 400 / 100);
  EXPECT_DOUBLE_EQ(rings(400, 8, kPlain), 2 * 3. / 4 * 400 / 100 + 2 * 1. / 2 * 400 / 50);
  Topology slow = kPlain;
  slow.in_node_latency = 1;
  slow.between_latency = 10;
  EXPECT_DOUBLE_EQ(rings(0, 16, slow), 2 * 3 * 1 + 2 * 2 * 10);
}

TEST(Scaling, WhatIsSummedInOrderGoesToEveryOther) {
  const auto exchange = [](double bytes, int gpus, const Topology& t) {
    return reduce_seconds(bytes, gpus, t, Reduction::exchange);
  };
  EXPECT_EQ(exchange(400, 1, kPlain), 0);
  // In a node as much as rings: a slice to each of three, and the sums round.
  EXPECT_DOUBLE_EQ(exchange(400, 4, kPlain), reduce_seconds(400, 4, kPlain, kRings));
  // Two nodes: each of four GPUs sends half of its bytes over the node's one link.
  EXPECT_DOUBLE_EQ(exchange(400, 8, kPlain), 3 * 50. / 100 + 4 * 200. / 50 + 3. / 4 * 400 / 100 + 1. / 2 * 400 / 50);
  Topology slow = kPlain;
  slow.in_node_latency = 1;
  slow.between_latency = 10;
  EXPECT_DOUBLE_EQ(exchange(0, 16, slow), 3 * 1 + 3 * 10 + 3 * 1 + 2 * 10);
}

TEST(Scaling, AStepLosesWhatItWaitsFor) {
  EXPECT_DOUBLE_EQ(kStep.seconds(), 5.5);
  EXPECT_DOUBLE_EQ(weak_scaling(kStep, 1, kPlain, 1, false, kRings), 1);
  // All 400 bytes behind backward: 6 seconds.
  EXPECT_DOUBLE_EQ(weak_scaling(kStep, 4, kPlain, 1, false, kRings), 5.5 / 11.5);
  // The first 100 bytes go while the second layer runs; the other 300 take 4.5 seconds.
  EXPECT_DOUBLE_EQ(weak_scaling(kStep, 4, kPlain, 1, true, kRings), 5.5 / 10);
  // A bucket that is whole only at the end hides nothing.
  EXPECT_DOUBLE_EQ(weak_scaling(kStep, 4, kPlain, 400, true, kRings), 5.5 / 11.5);
  for (const bool overlap : {false, true})
    EXPECT_GT(weak_scaling(kStep, 4, kPlain, 1, overlap, kRings), weak_scaling(kStep, 64, kPlain, 1, overlap, kRings));
}

}  // namespace
}  // namespace telltale
