// Metrics against numbers worked by hand and against brute force over pairs and thresholds.
#include "models/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/device/philox.h"
#include "models/painter_scores.h"

namespace telltale {
namespace {

double logit_of(double probability) { return std::log(probability / (1 - probability)); }

Sample real_image(double probability) { return {false, logit_of(probability), {}, {0, 0, 10, 10}}; }
Sample fake_image(double probability, RealBox truth, RealBox predicted) {
  return {true, logit_of(probability), truth, predicted};
}

/// Five fakes and three reals; at .5: 4 found, 1 missed, 1 false alarm.
std::vector<Sample> worked_example() {
  const RealBox square{0, 0, 10, 10};
  return {fake_image(.9, square, square),            // IoU 1
          fake_image(.8, square, {0, 0, 10, 6}),     // IoU .6
          fake_image(.7, square, {5, 0, 15, 10}),    // IoU 50/150
          fake_image(.6, square, {20, 20, 30, 30}),  // IoU 0
          fake_image(.2, square, square),            // a miss, however good its box
          real_image(.65),
          real_image(.3),
          real_image(.1)};
}

TEST(Metrics, EachPainterIsJudgedAgainstAllReals) {
  const std::vector<std::string> painters = {"b", "a", "a", "", "b", "", "", ""};
  const auto scores = scores_by_painter(worked_example(), painters, .5);
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[0].painter, "a");
  EXPECT_EQ(scores[0].fakes, 2);
  EXPECT_EQ(scores[0].found, 1);
  EXPECT_EQ(scores[0].auc, 1);
  EXPECT_NEAR(scores[0].mean_iou, (.6 + 1. / 3) / 2, 1e-12);
  EXPECT_EQ(scores[1].found, .5);
  EXPECT_NEAR(scores[1].auc, (3 + 1) / 6., 1e-12) << ".2 outscores only .1";
  EXPECT_EQ(scores[1].mean_iou, .5);
  EXPECT_THROW(scores_by_painter(worked_example(), {}, .5), UsageError);
}

TEST(Metrics, ConfusionOfTheWorkedExample) {
  const Confusion c = evaluate(worked_example()).confusion;
  EXPECT_EQ(c.true_positives, 4);
  EXPECT_EQ(c.false_negatives, 1);
  EXPECT_EQ(c.false_positives, 1);
  EXPECT_EQ(c.true_negatives, 2);
  EXPECT_DOUBLE_EQ(c.precision(), 4.0 / 5);
  EXPECT_DOUBLE_EQ(c.recall(), 4.0 / 5);
  EXPECT_DOUBLE_EQ(c.f1(), 0.8);
  EXPECT_DOUBLE_EQ(c.accuracy(), 6.0 / 8);
}

TEST(Metrics, AMissCountsZeroInTheHeadlineOnly) {
  const Localisation l = evaluate(worked_example()).localisation;
  EXPECT_NEAR(l.mean_iou, (1 + .6 + 1.0 / 3 + 0) / 5, 1e-15);
  EXPECT_NEAR(l.mean_iou_found, (1 + .6 + 1.0 / 3 + 0) / 4, 1e-15);
  // With inclusive corners the boxes are 11×11, 11×7 within 11×11, and 11×11 shifted by 5.
  EXPECT_NEAR(l.mean_iou_paper, (1 + 77.0 / 121 + 66.0 / (242 - 66) + 0) / 4, 1e-15);
}

TEST(Metrics, SuccessIsAShareOfAllFakes) {
  const Localisation l = evaluate(worked_example()).localisation;
  EXPECT_DOUBLE_EQ(l.success_at(.5), 2.0 / 5);
  EXPECT_DOUBLE_EQ(l.success_at(.55), 2.0 / 5);
  EXPECT_DOUBLE_EQ(l.success_at(.75), 1.0 / 5);
  EXPECT_DOUBLE_EQ(l.success_at(.95), 1.0 / 5);
  EXPECT_NEAR(l.mean_success, (2 * .4 + 8 * .2) / 10, 1e-15);  // IoU .6 passes .5 and .55; > .6 asks for more
  EXPECT_THROW(l.success_at(.52), UsageError);
}

TEST(Metrics, ThresholdMovesImagesAcross) {
  const Confusion strict = evaluate(worked_example(), .75).confusion;
  EXPECT_EQ(strict.true_positives, 2);
  EXPECT_EQ(strict.false_positives, 0);
  EXPECT_TRUE(calls_fake(0, .5)) << "a probability equal to the threshold is called fake";
  EXPECT_THROW(evaluate(worked_example(), 0), UsageError);
  EXPECT_THROW(evaluate(worked_example(), 1), UsageError);
}

TEST(Metrics, AucOfTheWorkedExample) {
  // 15 pairs; lost: (.6, .65), (.2, .65), (.2, .3).
  EXPECT_DOUBLE_EQ(roc_auc(worked_example()), 12.0 / 15);
}

TEST(Metrics, TiedScoresCountHalf) {
  std::vector<Sample> tied(7);
  for (int i = 0; i < 3; ++i) tied[size_t(i)].fake = true;
  EXPECT_DOUBLE_EQ(roc_auc(tied), 0.5);
  EXPECT_EQ(roc_curve(tied).size(), 2u) << "equal scores make one step, straight along the diagonal";
}

TEST(Metrics, ConfidentLogitsStayApart) {
  // As f32 probabilities both are 1, a tie; as logits the fake wins.
  std::vector<Sample> pair = {{true, 60, {}, {}}, {false, 50, {}, {}}};
  EXPECT_DOUBLE_EQ(roc_auc(pair), 1);
}

/// Random samples with many ties.
std::vector<Sample> random_samples(uint64_t seed) {
  Random random(seed);
  std::vector<Sample> samples(size_t(random.integer(2, 60)));
  const auto box = [&] {
    const double x = random.uniform(0, 50), y = random.uniform(0, 50);
    return RealBox{x, y, x + random.uniform(0, 50), y + random.uniform(0, 50)};
  };
  for (Sample& s : samples) s = {random.uniform() < .5, double(random.integer(-4, 4)) / 2, box(), box()};
  samples[0].fake = true;
  samples[1].fake = false;
  return samples;
}

TEST(Metrics, AucIsTheShareOfPairsWonAndTheAreaUnderTheCurve) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const std::vector<Sample> samples = random_samples(seed);
    double won = 0, pairs = 0;
    for (const Sample& fake : samples) {
      for (const Sample& real : samples) {
        if (!fake.fake || real.fake) continue;
        won += fake.logit > real.logit ? 1 : fake.logit == real.logit ? .5 : 0;
        ++pairs;
      }
    }
    EXPECT_NEAR(roc_auc(samples), won / pairs, 1e-14);
    double area = 0;
    const std::vector<RocPoint> curve = roc_curve(samples);
    for (size_t i = 1; i < curve.size(); ++i) {
      area += (curve[i].false_positive_rate - curve[i - 1].false_positive_rate) *
              (curve[i].true_positive_rate + curve[i - 1].true_positive_rate) / 2;
    }
    EXPECT_NEAR(roc_auc(samples), area, 1e-14);
  }
}

TEST(Metrics, EveryRocPointIsTheConfusionAtItsScore) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const std::vector<Sample> samples = random_samples(seed);
    const std::vector<RocPoint> curve = roc_curve(samples);
    ASSERT_GE(curve.size(), 2u);
    for (size_t i = 1; i < curve.size(); ++i) {
      int64_t tp = 0, fp = 0, fakes = 0, reals = 0;
      for (const Sample& s : samples) {
        ++(s.fake ? fakes : reals);
        if (s.logit >= curve[i].logit) ++(s.fake ? tp : fp);
      }
      EXPECT_DOUBLE_EQ(curve[i].true_positive_rate, double(tp) / double(fakes));
      EXPECT_DOUBLE_EQ(curve[i].false_positive_rate, double(fp) / double(reals));
    }
    EXPECT_DOUBLE_EQ(curve.back().true_positive_rate, 1);
    EXPECT_DOUBLE_EQ(curve.back().false_positive_rate, 1);
  }
}

TEST(Metrics, IouOfWholeBoxesIsTheShareOfSharedPixels) {
  Random random(5);
  for (int trial = 0; trial < 300; ++trial) {
    const auto draw = [&] {
      const int x = int(random.integer(0, 9)), y = int(random.integer(0, 9));
      return Box{x, y, x + int(random.integer(0, 9)), y + int(random.integer(0, 9))};
    };
    const Box a = draw(), b = draw();
    int both = 0, either = 0;
    for (int y = 0; y < 20; ++y) {
      for (int x = 0; x < 20; ++x) {
        const auto holds = [&](const Box& o) { return x >= o.x_min && x < o.x_max && y >= o.y_min && y < o.y_max; };
        both += holds(a) && holds(b);
        either += holds(a) || holds(b);
      }
    }
    EXPECT_DOUBLE_EQ(iou(real(a), real(b)), either ? double(both) / either : 0);
    EXPECT_DOUBLE_EQ(iou(real(a), real(b), 1), iou_inclusive(a, b));
  }
  EXPECT_EQ(iou(RealBox{5, 5, 2, 2}, RealBox{0, 0, 9, 9}), 0) << "an inverted box covers nothing";
}

TEST(Metrics, NothingToAverageIsZeroNotNan) {
  const std::vector<Sample> reals = {real_image(.1), real_image(.2)};
  const Evaluation e = evaluate(reals);
  EXPECT_EQ(e.confusion.precision(), 0);
  EXPECT_EQ(e.confusion.recall(), 0);
  EXPECT_EQ(e.confusion.f1(), 0);
  EXPECT_EQ(e.confusion.accuracy(), 1);
  EXPECT_EQ(e.localisation.mean_iou, 0);
  EXPECT_EQ(e.localisation.mean_iou_found, 0);
  EXPECT_TRUE(std::isnan(e.auc)) << "without fakes there is no ranking to judge";
  EXPECT_TRUE(roc_curve(reals).empty());
}

TEST(Metrics, BrokenPredictionsAreRefused) {
  EXPECT_THROW(evaluate({}), DataError);
  std::vector<Sample> samples = worked_example();
  samples[2].logit = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(evaluate(samples), DataError);
  samples = worked_example();
  samples[1].predicted.y_max = std::numeric_limits<double>::infinity();
  EXPECT_THROW(evaluate(samples), DataError);
}

}  // namespace
}  // namespace telltale
