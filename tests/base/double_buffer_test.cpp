// Two halves of work: in which order they run, and whose error comes when.
#include "base/double_buffer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "base/deal.h"

namespace telltale {
namespace {

class Halves : public testing::Test {
 protected:
  /// Says what runs; item `bad` fails as it is enqueued, `broken` as it is collected.
  DoubleBuffer<size_t> buffer(bool overlap, size_t bad = 99, size_t broken = 99) {
    return {overlap, [=, this](size_t item) {
              said_ += " +" + std::to_string(item);
              TT_CHECK(item != bad, DataError, "unreadable");
              return [=, this] {
                said_ += " -" + std::to_string(item);
                TT_CHECK(item != broken, DataError, "broken");
                return 10 * item;
              };
            }};
  }
  std::string said_;
};

TEST_F(Halves, OverlappingTheNextIsEnqueuedBeforeThePresentIsWaitedFor) {
  std::vector<size_t> taken;
  buffer(true).run(4, [&](size_t item, size_t result) {
    said_ += " =" + std::to_string(item);
    taken.push_back(result);
  });
  EXPECT_EQ(said_, " +0 +1 -0 =0 +2 -1 =1 +3 -2 =2 -3 =3");
  EXPECT_EQ(taken, (std::vector<size_t>{0, 10, 20, 30}));
}

TEST_F(Halves, OtherwiseOneIsDoneBeforeTheNextIsBegun) {
  buffer(false).run(3, [&](size_t item, size_t) { said_ += " =" + std::to_string(item); });
  EXPECT_EQ(said_, " +0 -0 =0 +1 -1 =1 +2 -2 =2");
}

/// What came before it is there all the same, and what comes after it can go on.
TEST_F(Halves, AnErrorComesWithItsItem) {
  for (const bool overlap : {false, true}) {
    DoubleBuffer<size_t> items = buffer(overlap, 1, 2);
    const size_t next[] = {1, 2, 3};
    EXPECT_EQ(items(0, next), 0u);
    EXPECT_THROW(items(1, std::span(next).subspan(1)), DataError);
    EXPECT_THROW(items(2, std::span(next).subspan(2)), DataError);
    EXPECT_EQ(items(3, {}), 30u);
  }
}

TEST_F(Halves, WhatWasNotToComeNextIsLeft) {
  DoubleBuffer<size_t> items = buffer(true);
  const size_t next[] = {1};
  EXPECT_EQ(items(0, next), 0u);
  EXPECT_EQ(items(5, {}), 50u);
  EXPECT_EQ(said_, " +0 +1 -0 +5 -5");
}

TEST_F(Halves, NothingToDo) {
  buffer(true).run(0, [](size_t, size_t) { FAIL(); });
  EXPECT_EQ(said_, "");
}

/// As it is dealt: what deal() says will come does come.
TEST_F(Halves, DealtAlone) {
  DoubleBuffer<size_t> items = buffer(true);
  std::vector<size_t> taken;
  deal<size_t>(
      Ranks::none(), {.items = 3}, [&](size_t item, std::span<const size_t> upcoming) { return items(item, upcoming); },
      [&](size_t, size_t result) { taken.push_back(result); }, [](size_t) { return std::string(); },
      [](const std::string&) { return size_t(0); });
  EXPECT_EQ(said_, " +0 +1 -0 +2 -1 -2");
  EXPECT_EQ(taken, (std::vector<size_t>{0, 10, 20}));
}

}  // namespace
}  // namespace telltale
