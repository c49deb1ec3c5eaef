// Where a detector looked: the gradient that Grad-CAM takes, the map made of it, and the map over a picture.
#include "models/detector/explanation.h"

#include "nets/nets.h"
#include "tests/data/data_fixture.h"
#include "weights/names.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

constexpr int kSide = 128;

struct Case {
  const char* net;
  int cells;  ///< of the map, a side
};

class Explained : public testing::TestWithParam<Case> {
 protected:
  Explained() {
    const DetectorInfo info{.net = GetParam().net, .width = 0.125, .size = kSide};
    Program program(detector_graph(info, 1, kSide).graph, stream_, {.seed = 11});
    // Wider than they begin, so that each feature counts.
    const Param* head = program.params().find(std::string(detector_net(info.net).head) + ".weight");
    std::vector<double> values = program.params().read(stream_, *head);
    for (double& v : values) v *= 20;
    program.params().write(stream_, *head, values);
    write_safetensors(weights(), params_dict(stream_, program.params()), detector_metadata(info));
  }
  std::string weights() const { return folder_ / "net.safetensors"; }
  static std::vector<uint8_t> two_pictures() {
    std::vector<uint8_t> pixels = test_picture(kSide, kSide, 1).rgb;
    const Image second = test_picture(kSide, kSide, 4);
    pixels.insert(pixels.end(), second.rgb.begin(), second.rgb.end());
    return pixels;
  }
  Folder folder_;
  Stream stream_ = Stream::cpu(1);
};

TEST_P(Explained, TheGradientIsTheCentralDifference) {
  Detector detector(weights(), stream_, {.batch = 2, .compute = DType::f64});
  Explainer explainer(detector, stream_);
  const int cells = GetParam().cells;
  ASSERT_EQ(explainer.shape(), (Shape{2, cells, cells, explainer.shape().c}));
  const std::vector<double> features = explainer.features(two_pictures(), 2);
  const Explainer::LogitGradients at = explainer.logit_gradients(features);
  ASSERT_EQ(at.gradients.size(), features.size());
  const size_t each = features.size() / 2;
  const auto logits_at = [&](size_t feature, double by) {
    std::vector<double> moved = features;
    moved[feature] += by;
    return explainer.logit_gradients(moved).logits;
  };
  constexpr double kStep = 1e-6;
  Random random(3);
  int nonzero = 8, zero = 4;  // to try; a pooling passes no gradient to most features, and averaging to all
  for (int tried = 0; tried < 10'000 && nonzero + zero > 0; ++tried) {
    const auto feature = size_t(random.integer(0, int64_t(features.size()) - 1));
    int& left = at.gradients[feature] != 0 ? nonzero : zero;
    // Where a pooling takes one of several zeros there is no derivative.
    if (features[feature] < 1e-4 || left == 0) continue;
    --left;
    const std::vector<double> up = logits_at(feature, kStep), down = logits_at(feature, -kStep);
    for (size_t picture = 0; picture < 2; ++picture) {
      const double own = feature / each == picture ? at.gradients[feature] : 0;
      EXPECT_NEAR((up[picture] - down[picture]) / (2 * kStep), own, 1e-6 * std::max(1.0, std::abs(own))) << feature;
    }
  }
  EXPECT_EQ(nonzero, 0) << "gradients of zero alone would prove nothing";
}

TEST_P(Explained, ItIsTheDetectorsNet) {
  Detector detector(weights(), stream_, {.batch = 2});
  Explainer explainer(detector, stream_);
  const std::vector<Verdict> said = detector.run(two_pictures(), 2);
  EXPECT_THROW(Explainer(detector, stream_), Error) << "its weights' memory is given back";
  const std::vector<double> logits = explainer.logit_gradients(explainer.features(two_pictures(), 2)).logits;
  for (size_t i = 0; i < 2; ++i)
    EXPECT_NEAR(logits[i], double(said[i].raw[0]), 1e-4 * std::max(1.f, std::abs(said[i].raw[0])));
  const std::vector<HeatMap> maps = explainer.look(two_pictures(), 2);
  ASSERT_EQ(maps.size(), 2u);
  EXPECT_NE(maps[0].values, maps[1].values);
  // A picture's map is its own, whatever lies beside it.
  const std::vector<uint8_t> alone = test_picture(kSide, kSide, 4).rgb;
  EXPECT_EQ(explainer.look(alone, 1)[0].values, maps[1].values);
}

INSTANTIATE_TEST_SUITE_P(Nets, Explained,
                         testing::Values(Case{"alexnet", 7}, Case{"vgg11", 8}, Case{"resnet18", 4},
                                         Case{"resnet50", 4}),
                         [](const auto& info) { return std::string(info.param.net); });

TEST(GradCam, IsTheWeightedSumWherePositive) {
  // Two cells of two channels; the channels' weights are (1 + 3) / 2 = 2 and (-1 + 0) / 2 = -.5.
  const std::vector<double> features = {1, 2, 4, 0}, gradients = {1, -1, 3, 0};
  const HeatMap map = grad_cam(features, gradients, 2, 1);
  EXPECT_EQ(map.values, (std::vector<float>{0.125f, 1}));  // 2 - 1 over 8
  const std::vector<double> against = {1, 8, 1, 8};
  EXPECT_EQ(grad_cam(against, gradients, 2, 1).values, (std::vector<float>{0, 0})) << "nothing speaks for a fake";
  EXPECT_THROW(grad_cam(features, gradients, 3, 1), ShapeError);
  EXPECT_THROW(grad_cam(features, std::span(gradients).first(2), 2, 1), ShapeError);
  const std::vector<double> broken = {1, NAN, 0, 0};
  EXPECT_THROW(grad_cam(broken, gradients, 2, 1), DataError);
}

TEST(HeatMap, IsLinearBetweenTheMiddlesOfItsCells) {
  const HeatMap map{2, 2, {0, 1, 0.5f, 1}};
  const Grey mask = mask_of(map, 8, 4);
  ASSERT_EQ(mask.width, 8);
  ASSERT_EQ(mask.height, 4);
  EXPECT_EQ(mask.pixels[0], 0) << "flat beyond the outer middles";
  EXPECT_EQ(mask.pixels[7], 255);
  EXPECT_EQ(mask.pixels[3 * 8], 128);
  EXPECT_FLOAT_EQ(map.at(3, 0, 8, 4), 0.375f);  // 3.5 of 8 pixels: 0.375 from middle to middle
  const HeatMap one{1, 1, {0.5f}};
  EXPECT_EQ(one.at(99, 0, 100, 1), 0.5f);
  const PageMap page = page_map(map, 400, 100);
  EXPECT_EQ(page.width, kPageMapSide);
  EXPECT_EQ(page.height, 24);
  EXPECT_EQ(page.values.size(), size_t(page.width) * size_t(page.height));
  Image image(8, 4);
  draw_heat(image, map);
  EXPECT_EQ(image.at(0, 0)[0], 0) << "where nothing speaks for a fake, the picture shows";
  EXPECT_GT(image.at(7, 0)[0], 150);
}

}  // namespace
}  // namespace telltale
