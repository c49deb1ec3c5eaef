// Losses: gradients against differences, values and gradients against torchvision's, masks and weights of the
// composite, every device and type.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "losses/pixels.h"
#include "losses/registry.h"
#include "tests/losses/losses_run.h"

namespace telltale {
namespace {

DetectionSettings pixels() {
  return {.alpha = 100, .beta = 0.8, .box_unit = BoxUnit::pixel, .width = 320, .height = 256};
}

TEST(Losses, OneFileIsOneLoss) {
  std::vector<std::string> files;
  for (const auto& file : std::filesystem::directory_iterator(TT_SOURCE_DIR "/losses")) {
    if (file.path().extension() == ".cu") files.push_back(file.path().stem());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> known = loss_names();  // over rows of numbers; those over pixels stand beside them
  for (const std::string& name : pixel_loss_names()) known.push_back("pixel_" + name);
  std::sort(known.begin(), known.end());
  EXPECT_EQ(known, files);
  EXPECT_EQ(class_loss_names(), (std::vector<std::string>{"bce", "focal_bce", "smoothed_bce"}));
  for (const std::string& name : loss_names()) EXPECT_NE(describe_losses().find(name), std::string::npos) << name;
  for (const std::string& name : loss_names()) EXPECT_FALSE(loss_info(name).about.empty()) << name;
}

TEST(Losses, GradientsEqualDifferences) {
  for (const std::string& name : loss_names()) {
    for (uint64_t seed : {1, 2, 3}) {
      const GradientPoint worst = make_row_loss(name)->worst_gradient(seed);
      EXPECT_LE(worst.error, kGradientTolerance) << name << " " << worst.describe();
    }
  }
  for (const auto& [name, settings] :
       std::vector<std::pair<std::string, LossSettings>>{{"smooth_l1", {{"smooth_l1_beta", 0}}},
                                                         {"smooth_l1", {{"smooth_l1_beta", .5}}},
                                                         {"huber", {{"delta", .25}}},
                                                         {"alpha_iou", {{"power", 1}}},
                                                         {"alpha_iou", {{"power", 1.5}}},
                                                         {"siou", {{"theta", 1}}},
                                                         {"focal_eiou", {{"gamma", 0}}},
                                                         {"focal_eiou", {{"gamma", 2}}},
                                                         {"focal_bce", {{"gamma", 0}, {"balance", 1}}},
                                                         {"focal_bce", {{"gamma", .5}}}}) {
    const GradientPoint worst = make_row_loss(name, settings)->worst_gradient(4);
    EXPECT_LE(worst.error, kGradientTolerance) << name << " " << worst.describe();
  }
  for (const std::string& name : box_loss_names()) {
    EXPECT_LE(make_detection_loss(name, {})->worst_gradient_error(5), 1e-6) << name;
    EXPECT_LE(make_detection_loss(name, pixels())->worst_gradient_error(6), 1e-6) << name;
  }
}

TEST(Losses, RowsAreIndependent) {
  Random random(3);
  for (const std::string& name : loss_names()) {
    const auto loss = make_loss(name);
    Numbers pred, target;
    for (int i = 0; i < 24; ++i) {
      pred.push_back(random.normal());
      target.push_back(random.uniform());
    }
    EXPECT_TRUE(rows_are_independent(*loss, pred, target, {})) << name;
  }
}

// PyTorch 1.13 and torchvision 0.14 in double on these five pairs; the fourth predicted box is inverted and was sorted
// there by minimum and maximum.
const Numbers kBoxes = {.1, .2, .6, .7, .2, .2, .5, .9, .1, .1, .3, .3, .5, .1, .2, .8, .25, .25, .75, .75};
const Numbers kTargets = {.3, .1, .8, .5, .1, .1, .9, .95, .6, .5, .9, .7, .3, .2, .7, .6, .2, .5, .4, .6};

struct Literal {
  const char* loss;
  LossSettings settings;
  Outcome expected;
};

const Literal kLiterals[] = {
    {"giou",
     {},
     {{0.892857178287971, 0.691176516003454, 1.79166650173615, 0.895566548608295, 1.01390373993728},
      {-0.381235675255611, 1.17063465293531,   -1.17063465293531,  0.585317267416293,   1.02941161332182,
       0.441176405709352,  -1.02941161332182,  -0.441176405709352, 0.156249761284815,   0.0694441550927103,
       -0.416666579861129, -0.416666579861129, -1.95107812415614,  -0.611904946213593,  -0.323016553409896,
       0.611904946213593,  1.75442950394965,   -0.151703839318692, -0.0168911455047682, 0.151703839318692}}},
    {"diou",
     {},
     {{0.823529472558613, 0.708148991821987, 1.46249995375, 0.75792180537771, 1.01809955665663},
      {-0.461408881346305, 0.87091485759754,   -0.92973838008889,   0.419886392846407,  0.919319878282683,
       0.459525028215875,  -1.13950334836096,  -0.422827783202829,  0.189999907000017,  0.154999929000013,
       -0.549999945000005, -0.399999960000004, -1.29663818722162,   -0.153891549511931, -0.822922426128079,
       0.289026666385564,  0.661875463037152,  -0.0666106463129998, 0.324181086028694,  -0.114384796040766}}},
    {"ciou",
     {},
     {{0.823562094809825, 0.711484002541629, 1.46274546150351, 0.762320338086886, 1.01989010235326},
      {-0.460819272265839, 0.870325248517073,  -0.930327989169357,  0.420476001926874,  0.942305988661874,
       0.449673838053365,  -1.16248945874015,  -0.412976593040318,  0.19621858166756,   0.14878125433247,
       -0.556218619667549, -0.393781285332461, -1.32454086785282,   -0.165849841211018, -0.795019745496874,
       0.300984958084651,  0.673005487039722,  -0.0777406703155701, 0.313051062026123,  -0.103254772038196}}},
    {"mse", {}, {{0.0325, 0.045625, 0.2325, 0.085, 0.0525}, {-0.1,   0.05,  -0.1,  0.1,    0.05,  0.05, -0.2,
                                                             -0.025, -0.25, -0.2,  -0.3,   -0.2,  0.1,  -0.05,
                                                             -0.25,  0.1,   0.025, -0.125, 0.175, 0.075}}},
    {"smooth_l1",
     {{"smooth_l1_beta", .125}},
     {{0.113125, 0.106875, 0.4125, 0.188125, 0.143125},
      {-0.25, 0.2,   -0.25, 0.25, 0.2,   0.2,  -0.25, -0.0999999999999999, -0.25, -0.25, -0.25, -0.25, 0.25,
       -0.2,  -0.25, 0.25,  0.1,  -0.25, 0.25, 0.25}}},
};

TEST(Losses, EqualTorchvision) {
  for (const Literal& l : kLiterals) {
    SCOPED_TRACE(l.loss);
    const Outcome got = evaluate(*make_loss(l.loss, l.settings), kBoxes, kTargets);
    expect_near(got.loss, l.expected.loss, 1e-12);
    expect_near(got.gradient, l.expected.gradient, 1e-12);
  }
  const Outcome bce = evaluate(*make_loss("bce"), {-3, 0, .5, 40}, {1, 0, .25, 0});
  expect_near(bce.loss, {3.048587351573742, 0.6931471805599453, 0.8490769841801067, 40}, 1e-14);
  expect_near(bce.gradient, {-0.9525741268224333, 0.5, 0.3724593312018546, 1}, 1e-14);
}

TEST(Losses, DegenerateBoxes) {
  EXPECT_EQ(evaluate(*make_loss("giou"), {.5, .5, .5, .5}, {.5, .5, .5, .5}).loss[0], 1);
  Numbers pred, target;
  for (double a : {0.0, 0.5, 0.5000001, -1e6}) {
    for (double b : {0.0, 0.5, 1e-30, 1e6}) {
      pred.insert(pred.end(), {a, b, b, a});
      target.insert(target.end(), {b, a, a, b});
      pred.insert(pred.end(), {a, a, b, b});
      target.insert(target.end(), {0.5, 0.5, 0.5, 0.5});
      pred.insert(pred.end(), {a, 0, a, 1});
      target.insert(target.end(), {b, 0, b, 1});
    }
  }
  for (const std::string& name : box_loss_names()) {
    for (DType type : {DType::f64, DType::f32, DType::bf16}) {
      Stream s = Stream::cpu();
      const Outcome got = evaluate(*make_loss(name), s, type, pred, target);
      for (double x : got.loss) EXPECT_TRUE(std::isfinite(x)) << name;
      for (double x : got.gradient) EXPECT_TRUE(std::isfinite(x)) << name;
    }
  }
}

TEST(Losses, NanStaysVisible) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const std::string& name : box_loss_names()) {
    for (int k = 0; k < 4; ++k) {
      Numbers pred = {.1, .2, .6, .7};
      pred[k] = nan;
      EXPECT_TRUE(std::isnan(evaluate(*make_loss(name), pred, {.3, .1, .8, .5}).loss[0])) << name << " " << k;
    }
  }
}

TEST(Losses, DevicesAndTypesAgree) {
  for (const std::string& name : loss_names()) {
    const auto loss = make_loss(name);
    Random random(11);
    Numbers pred, target;
    for (int i = 0; i < 300; ++i) {
      if (loss->pred_width() == 1) {
        pred.push_back(6 * random.normal());
        target.push_back(random.integer(0, 1));
      } else {
        for (int k = 0; k < 2; ++k) {  // boxes of at least .2: the inputs' own rounding is not what is tested
          const double a = random.uniform(0, .6), b = random.uniform(0, .6);
          pred.insert(pred.end(), {a, b, a + random.uniform(.2, .4), b + random.uniform(.2, .4)});
          const double c = a + random.uniform(-.2, .2), d = b + random.uniform(-.2, .2);
          target.insert(target.end(), {c, d, c + random.uniform(.2, .4), d + random.uniform(.2, .4)});
        }
      }
    }
    compare_devices(*loss, pred, target, {.loss_scale = 2});
  }
}

TEST(Losses, AnEmptyBatchIsNothing) { EXPECT_TRUE(evaluate(*make_loss("ciou"), {}, {}).loss.empty()); }

template <class E, class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "no error";
}

TEST(Losses, UnknownNamesAreRefusedWithTheKnownOnes) {
  const std::string unknown = error_of<UsageError>([] { make_loss("iuo"); });
  EXPECT_TRUE(unknown.starts_with("unknown loss 'iuo'; known: ")) << unknown;
  for (const std::string& name : loss_names()) EXPECT_NE(unknown.find(name), std::string::npos) << name;
  EXPECT_TRUE(error_of<UsageError>([] {
                make_detection_loss("bce", {});
              }).starts_with("loss 'bce' does not compare boxes; known: alpha_iou, "));
  EXPECT_EQ(error_of<UsageError>([] { make_detection_loss("giou", {.class_loss = "mse"}); }),
            "loss 'mse' does not compare a logit with a label; known: bce, focal_bce, smoothed_bce");
  EXPECT_EQ(error_of<UsageError>([] {
              make_loss("smooth_l1", {{"beta", 1}});
            }),
            "loss 'smooth_l1' has no setting 'beta'; known: smooth_l1_beta");
  EXPECT_EQ(error_of<UsageError>([] {
              make_loss("giou", {{"beta", 1}});
            }),
            "loss 'giou' has no setting 'beta'; known: none");
  EXPECT_NE(error_of<UsageError>([] { make_loss("smooth_l1", {{"smooth_l1_beta", -1}}); }), "no error");
  EXPECT_NE(error_of<UsageError>([] { make_loss("smooth_l1", {{"smooth_l1_beta", std::nan("")}}); }), "no error");
  EXPECT_NE(error_of<UsageError>([] { make_detection_loss("mse", {.box_unit = BoxUnit::pixel}); }), "no error");
  EXPECT_NE(error_of<UsageError>([] { make_detection_loss("mse", {.alpha = std::nan("")}); }), "no error");
  EXPECT_NE(error_of<UsageError>([] { box_unit_of("pixels"); }), "no error");
  EXPECT_EQ(default_settings("smooth_l1"), (LossSettings{{"smooth_l1_beta", 1}}));
}

TEST(Losses, WrongShapesAreRefusedByName) {
  Stream s = Stream::cpu();
  float numbers[64] = {};
  const StepState state;
  const Tensor row{numbers, {1, 1, 1, 4}, DType::f32}, wide{numbers, {1, 1, 1, 5}, DType::f32},
      one{numbers, {1, 1, 1, 1}, DType::f32};
  const auto loss = make_loss("giou");
  EXPECT_EQ(error_of<ShapeError>([&] { loss->eval(s, wide, row, one, row, &state); }),
            "loss giou: pred must be [1,1,1,4] f32, got [1,1,1,5] f32");
  EXPECT_NE(error_of<ShapeError>([&] { loss->eval(s, row, wide, one, row, &state); }), "no error");
  EXPECT_NE(error_of<ShapeError>([&] { loss->eval(s, row, row, row, row, &state); }), "no error");
  EXPECT_NE(error_of<ShapeError>([&] { loss->eval(s, row, row, one, one, &state); }), "no error");
  EXPECT_NE(error_of<ShapeError>([&] { loss->eval(s, row, row, one, row, nullptr); }), "no error");
}

}  // namespace
}  // namespace telltale
