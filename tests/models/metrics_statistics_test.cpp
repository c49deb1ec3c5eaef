// Intervals and paired tests against numbers worked by hand and against theory.
#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "kernels/device/philox.h"
#include "models/statistics.h"

namespace telltale {
namespace {

/// Fakes called at these logits, reals at those.
std::vector<Sample> called(const std::vector<double>& fakes, const std::vector<double>& reals) {
  std::vector<Sample> samples;
  for (double logit : fakes) samples.push_back({true, logit, {0, 0, 10, 10}, {0, 0, 10, 10}});
  for (double logit : reals) samples.push_back({false, logit, {}, {}});
  return samples;
}
double accuracy(std::span<const Sample> s) { return confusion(s, 0.5).accuracy(); }

TEST(Statistics, McNemarCountsOnlyWhatOneAloneGetsRight) {
  std::vector<double> a(20, 1), b(20, 1);
  for (int i = 0; i < 9; ++i) a[i] = -1;  // nine that only b gets right
  b[9] = -1;                              // one that only a gets right
  EXPECT_NEAR(mcnemar(called(a, {-1, 1}), called(b, {-1, 1})), 2 * (1 + 10) / 1024., 1e-12);
  EXPECT_EQ(mcnemar(called(a, {}), called(a, {})), 1);
  std::vector<double> wrong(4000, -1), right(4000, 1);
  EXPECT_EQ(mcnemar(called(wrong, {}), called(right, {})), 0) << "too small for a double, and not a NaN";
  EXPECT_THROW(mcnemar(called({1}, {}), called({1, 1}, {})), UsageError);
}

TEST(Statistics, PermutationIsExactWhereItCanBe) {
  EXPECT_EQ(permutation_test(std::vector<double>(8, 0.1)), 2 / 256.) << "only all signs alike are as far from 0";
  EXPECT_EQ(permutation_test(std::vector<double>{0.3, -0.3}), 1);
  EXPECT_EQ(permutation_test(std::vector<double>{1, 2, -3, 4}), 10 / 16.) << "|sum| >= 4";
  EXPECT_EQ(permutation_test({}), 1);
  EXPECT_EQ(permutation_test(std::vector<double>(50, 0.)), 1) << "no difference at all";
}

/// Random signs agree with the normal approximation, and no chance is ever 0.
TEST(Statistics, PermutationOfManyIsSampled) {
  Random random(3);
  std::vector<double> differences;
  double sum = 0, squares = 0;
  for (int i = 0; i < 400; ++i) {
    differences.push_back(random.normal() + 0.08);
    sum += differences.back();
    squares += differences.back() * differences.back();
  }
  const double expected = std::erfc(std::abs(sum) / std::sqrt(2 * squares));
  EXPECT_GT(expected, 0.01);
  EXPECT_NEAR(permutation_test(differences), expected, 4 * std::sqrt(expected / 10000) + 0.003);
  EXPECT_EQ(permutation_test(std::vector<double>(40, 1.)), 1 / 10001.);
}

TEST(Statistics, BootstrapOfAShareIsTheBinomials) {
  std::vector<double> fakes(300, 1), reals(100, -1);
  for (int i = 0; i < 60; ++i) fakes[i] = -1;
  const std::vector<Sample> samples = called(fakes, reals);
  const Interval i = bootstrap(samples, accuracy);
  EXPECT_EQ(i.value, 0.85);
  const double deviation = std::sqrt(300 * 0.2 * 0.8) / 400;  // reals are drawn among reals, all of them right
  EXPECT_NEAR(i.low, 0.85 - 1.96 * deviation, 0.25 * deviation);
  EXPECT_NEAR(i.high, 0.85 + 1.96 * deviation, 0.25 * deviation);

  // Both on the same draws: what is equal on every image has no interval, though each alone has one.
  const Interval none = bootstrap_difference(samples, samples, accuracy);
  EXPECT_EQ(none.low, 0);
  EXPECT_EQ(none.high, 0);
  const Interval better = bootstrap_difference(samples, called(std::vector<double>(300, 1), reals), accuracy);
  EXPECT_NEAR(better.value, 0.15, 1e-12);
  EXPECT_GT(better.low, 0.1);
  EXPECT_LT(better.high, 0.2);
}

TEST(Statistics, AMetricThatDoesNotExistHasNoInterval) {
  const Interval i = bootstrap(called({1, -1}, {}), roc_auc, 10);
  EXPECT_TRUE(std::isnan(i.value) && std::isnan(i.low) && std::isnan(i.high));
}

}  // namespace
}  // namespace telltale
