// The composite loss of the detectors: weights, masks, units, micro-batches.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "losses/gradient_check.h"
#include "losses/loss.h"
#include "losses/registry.h"
#include "tests/losses/losses_run.h"

namespace telltale {
namespace {

DetectionSettings pixels() {
  return {.alpha = 100, .beta = 0.8, .box_unit = BoxUnit::pixel, .width = 320, .height = 256};
}

/// Rows for a detection loss: logits, boxes of every kind, labels 1 1 0.
void sample_detections(int n, Numbers& pred, Numbers& target) {
  Random random(7);
  for (int i = 0; i < n; ++i) {
    double p[4], t[4];
    sample_boxes(random, p, t, i % 70);  // without the kinds' huge and tiny rounds
    pred.push_back(2 * random.normal());
    pred.insert(pred.end(), p, p + 4);
    target.push_back(i % 3 < 2);
    target.insert(target.end(), t, t + 4);
  }
}

/// NaN equals NaN.
std::vector<uint64_t> bits(const Numbers& v) {
  std::vector<uint64_t> all;
  for (double x : v) all.push_back(std::bit_cast<uint64_t>(x));
  return all;
}

TEST(DetectionLoss, MicroBatchesMakeTheLargeBatch) {
  Numbers pred, target;
  sample_detections(33, pred, target);
  const StepState whole{.loss_scale = 8, .samples = 33, .positives = 22};
  for (const std::string& name : box_loss_names()) {
    EXPECT_TRUE(rows_are_independent(*make_detection_loss(name, pixels()), pred, target, whole)) << name;
  }
  for (const std::string& name : class_loss_names()) {
    EXPECT_TRUE(rows_are_independent(*make_detection_loss("l1", {.class_loss = name}), pred, target, whole)) << name;
  }
}

TEST(DetectionLoss, IsTheWeightedSumOfItsParts) {
  const StepState state{.loss_scale = 4, .samples = 8, .positives = 5};
  const DetectionSettings settings{.alpha = 2, .beta = 3, .box_settings = {{"smooth_l1_beta", .125}}};
  const Outcome bce = evaluate(*make_loss("bce"), {1.5}, {1});
  const Outcome box = evaluate(*make_loss("smooth_l1", settings.box_settings), {.1, .2, .6, .7}, {.3, .1, .8, .5});
  const Outcome got =
      evaluate(*make_detection_loss("smooth_l1", settings), {1.5, .1, .2, .6, .7}, {1, .3, .1, .8, .5}, state);
  const double c = 2 * bce.loss[0] / 8, b = 3 * box.loss[0] / 5;
  // Boxes .5 by .5 and .5 by .4 share .3 by .3; a logit of 1.5 says fake, and so does the label.
  expect_near(got.loss, {c + b, c, b, 1, .09 / (.25 + .2 - .09 + 1e-7)}, 1e-15);
  Numbers gradient = {4 * 2 * bce.gradient[0] / 8};
  for (double d : box.gradient) gradient.push_back(4 * 3 * d / 5);
  expect_near(got.gradient, gradient, 1e-15);

  const LossSettings sharp = {{"gamma", 1}, {"balance", .75}};
  const Outcome focal = evaluate(*make_loss("focal_bce", sharp), {1.5}, {1});
  const DetectionSettings with_focal{.alpha = 2, .class_loss = "focal_bce", .class_settings = sharp};
  const Outcome other =
      evaluate(*make_detection_loss("giou", with_focal), {1.5, .1, .2, .6, .7}, {1, .3, .1, .8, .5}, state);
  EXPECT_NEAR(other.loss[1], 2 * focal.loss[0] / 8, 1e-15);
  EXPECT_NEAR(other.gradient[0], 4 * 2 * focal.gradient[0] / 8, 1e-15);
}

TEST(DetectionLoss, PixelUnitMeasuresPixels) {
  const StepState state{.samples = 1, .positives = 1};
  const Numbers scale = {320, 256, 320, 256}, p = {.1, .2, .6, .7}, t = {.3, .1, .8, .5};
  Numbers pp, tp;
  for (int k = 0; k < 4; ++k) pp.push_back(p[k] * scale[k]), tp.push_back(t[k] * scale[k]);
  for (const std::string& name : box_loss_names()) {
    const Outcome box = evaluate(*make_loss(name), pp, tp);
    const Outcome got = evaluate(*make_detection_loss(name, pixels()), {0, .1, .2, .6, .7}, {1, .3, .1, .8, .5}, state);
    EXPECT_NEAR(got.loss[2], .8 * box.loss[0], 1e-12 * (1 + box.loss[0])) << name;
    for (int k = 0; k < 4; ++k)
      EXPECT_NEAR(got.gradient[k + 1], .8 * box.gradient[k] * scale[k], 1e-12 * (1 + box.loss[0]) * 320) << name;
  }
}

TEST(DetectionLoss, NegativesPullNoBox) {
  const StepState state{.samples = 2, .positives = 1};
  const double infinity = std::numeric_limits<double>::infinity();
  for (const std::string& name : box_loss_names()) {
    const Outcome got = evaluate(*make_detection_loss(name, pixels()), {1, .1, .2, .6, .7, -1, infinity, 0, 3, 4},
                                 {0, .3, .1, .8, .5, 0, 0, 0, 0, 0}, state);
    for (int i : {0, 1}) {
      EXPECT_GT(got.gradient[5 * i], 0) << name;
      EXPECT_EQ(got.loss[5 * i + DetectionTerms::box], 0) << name;
      EXPECT_EQ(got.loss[5 * i], got.loss[5 * i + 1]) << name;
      EXPECT_EQ(got.loss[5 * i + DetectionTerms::correct], i) << name << ": a logit of 1 and one of -1";
      EXPECT_EQ(got.loss[5 * i + DetectionTerms::iou], 0) << name;
      for (int k = 1; k < 5; ++k) EXPECT_EQ(got.gradient[5 * i + k], 0) << name;
    }
  }
}

TEST(DetectionLoss, NoPositivesGivesZeroNotNan) {
  Numbers pred, target;
  sample_detections(14, pred, target);
  for (const double label :
       {0.0, 1.0}) {  // 1: were a caller's count and labels to disagree, nothing may explode either
    for (size_t i = 0; i < target.size(); i += 5) target[i] = label;
    for (const std::string& name : box_loss_names()) {
      const Outcome got = evaluate(*make_detection_loss(name, {}), pred, target, {.samples = 14, .positives = 0});
      for (size_t i = 0; i < 14; ++i) {
        EXPECT_TRUE(std::isfinite(got.loss[5 * i])) << name;
        EXPECT_EQ(got.loss[5 * i + 2], 0) << name;
        for (int k = 1; k < 5; ++k) EXPECT_EQ(got.gradient[5 * i + k], 0) << name;
      }
    }
  }
}

/// A detection loss as two launches, whatever its class loss.
class InTwoLaunches final : public Loss {
 public:
  InTwoLaunches(const std::string& box, const DetectionSettings& s)
      : settings_(s), box_(make_row_loss(box)), bce_(make_row_loss("bce")) {}
  std::string name() const override { return "two launches of " + box_->name(); }
  int pred_width() const override { return 5; }
  int target_width() const override { return 5; }
  int terms() const override { return DetectionTerms::count; }
  void eval(Stream& s, Tensor pred, Tensor target, Tensor loss, Tensor dpred, const StepState* state) const override {
    const double x = settings_.width, y = settings_.height;
    bce_->eval_share(s, {pred, target, loss, dpred, state, Role::classification, settings_.alpha});
    box_->eval_share(s, {pred, target, loss, dpred, state, Role::box, settings_.beta, x, y});
  }
  double worst_gradient_error(uint64_t) const override { return 0; }

 private:
  DetectionSettings settings_;
  std::unique_ptr<RowLoss> box_, bce_;
};

class OneLaunch : public OnDevice {};
TEST_P(OneLaunch, GivesTheBitsOfTwo) {
  Stream s = stream();
  Numbers pred, target;
  sample_detections(210, pred, target);
  const StepState state{.loss_scale = 16, .samples = 210, .positives = 140};
  for (const std::string& name : box_loss_names()) {
    const auto one = make_detection_loss(name, pixels());
    for (DType type : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
      SCOPED_TRACE(cat(name, " ", name_of(type)));
      const Outcome got = evaluate(*one, s, type, pred, target, state),
                    expected = evaluate(InTwoLaunches(name, pixels()), s, type, pred, target, state);
      EXPECT_EQ(bits(got.loss), bits(expected.loss));  // not the numbers: f16 overflows at some of these
      EXPECT_EQ(bits(got.gradient), bits(expected.gradient));
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Everywhere, OneLaunch, every_device(), device_label);

TEST(DetectionLoss, DevicesAndTypesAgree) {
  Random random(12);
  Numbers pred, target;
  for (int i = 0; i < 100; ++i) {
    const double a = random.uniform(0, .6), b = random.uniform(0, .6), c = a + random.uniform(-.2, .2),
                 d = b + random.uniform(-.2, .2);
    pred.insert(pred.end(), {random.normal(), a, b, a + random.uniform(.2, .4), b + random.uniform(.2, .4)});
    target.insert(target.end(), {double(i % 2), c, d, c + random.uniform(.2, .4), d + random.uniform(.2, .4)});
  }
  for (const std::string& name : box_loss_names()) {
    compare_devices(*make_detection_loss(name, {}), pred, target, {.samples = 10, .positives = 5});
  }
}

}  // namespace
}  // namespace telltale
