// Precision–recall, reliability and overlaps on samples small enough to count by hand.
#include "models/calibration.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"

namespace telltale {
namespace {

Sample said(bool fake, double probability) { return {fake, std::log(probability / (1 - probability)), {}, {}}; }

TEST(Calibration, PrecisionAndRecallFallTogetherWhereScoresTie) {
  const std::vector<Sample> samples = {said(true, .9), said(false, .8), said(true, .8), said(true, .3),
                                       said(false, .1)};
  const auto curve = precision_recall_curve(samples);
  ASSERT_EQ(curve.size(), 4u);
  EXPECT_DOUBLE_EQ(curve[0].recall, 1. / 3);
  EXPECT_DOUBLE_EQ(curve[0].precision, 1);
  EXPECT_DOUBLE_EQ(curve[1].recall, 2. / 3);
  EXPECT_DOUBLE_EQ(curve[1].precision, 2. / 3);
  EXPECT_DOUBLE_EQ(curve[2].precision, 3. / 4);
  EXPECT_DOUBLE_EQ(curve[3].recall, 1);
  EXPECT_DOUBLE_EQ(curve[3].precision, 3. / 5);
  EXPECT_DOUBLE_EQ(average_precision(curve), (1 + 2. / 3 + 3. / 4) / 3);  // what scikit-learn says of it, too
  EXPECT_TRUE(precision_recall_curve(std::vector<Sample>{said(false, .5)}).empty());
  EXPECT_TRUE(std::isnan(average_precision({})));
}

TEST(Calibration, ABinHoldsWhatItsSamplesWere) {
  const std::vector<Sample> samples = {said(true, .72), said(false, .76), said(true, .74), said(true, .78),
                                       said(false, .11)};
  const auto bins = reliability(samples, 10);
  ASSERT_EQ(bins.size(), 10u);
  EXPECT_EQ(bins[7].count, 4);
  EXPECT_NEAR(bins[7].mean_probability, .75, 1e-12);
  EXPECT_NEAR(bins[7].share_fake, .75, 1e-12);
  EXPECT_EQ(bins[1].count, 1);
  EXPECT_NEAR(calibration_error(samples, 10), .11 / 5, 1e-12);
  EXPECT_EQ(reliability(std::vector<Sample>{{true, 1e9, {}, {}}}, 10)[9].count, 1) << "certainty is in the last bin";
  EXPECT_THROW(reliability(samples, 0), UsageError);
}

TEST(Calibration, OverlapsCountFakesAlone) {
  const RealBox truth{0, 0, 10, 10};
  const std::vector<Sample> samples = {
      {true, -5, truth, truth}, {true, 5, truth, {0, 0, 10, 5}}, {true, 5, truth, {}}, {false, 5, {}, {0, 0, 10, 10}}};
  const auto counts = overlap_histogram(samples, 4);
  EXPECT_EQ(counts, (std::vector<int64_t>{1, 0, 1, 1}));
}

}  // namespace
}  // namespace telltale
