// The perceptual loss against itself in double: zero for equal images, its gradient by central differences.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"
#include "models/inpainter/perceptual_loss.h"
#include "nets/nets.h"
#include "tests/data/data_fixture.h"
#include "tests/values.h"
#include "weights/names.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

constexpr double kWidth = 0.125;

/// A seeded net's weights, as a file.
void write_net(const std::string& path, Value (*build)(Graph&, Value, const DetectorSettings&)) {
  Stream s = Stream::cpu();
  Graph g;
  g.output(build(g, g.input({1, 64, 64, 3}), {.outputs = 5, .width = kWidth}));
  Program net(g, s, {.seed = 4});
  write_safetensors(path, params_dict(s, net.params()), {});
}

TEST(PerceptualLoss, IsZeroForEqualImagesAndItsGradientIsItsOwn) {
  Folder dir;
  const std::string path = dir / "vgg11.safetensors";
  write_net(path, vgg11);
  Stream s = Stream::cpu();
  const Shape shape{2, 16, 24, 3};
  constexpr double kWeight = 3;
  PerceptualLoss loss(s, path, shape, 0, DType::f64, kWeight);
  const OwnedTensor painted(s.place(), shape, DType::f64), original(s.place(), shape, DType::f64);
  const OwnedTensor gradient(s.place(), shape, DType::f64), sum(s.place(), {1, 1, 1, 1}, DType::f64);
  const StepState neutral;
  const auto value = [&] {
    fill_zero(s, gradient);
    loss.eval(painted, original, gradient, sum, &neutral);
    return values_of(s, sum)[0];
  };
  const std::vector<double> x = uniform_values(shape.numel(), 1, 0, 1);
  set_values(s, painted, x);
  set_values(s, original, x);
  EXPECT_EQ(value(), 0);

  set_values(s, original, uniform_values(shape.numel(), 2, 0, 1));
  const double here = value();
  EXPECT_GT(here, 0);
  const std::vector<double> got = values_of(s, gradient);
  double largest = 0;
  for (double v : got) largest = std::max(largest, std::abs(v));
  Random random(3);
  for (int i = 0; i < 24; ++i) {
    const size_t at = size_t(random.uniform(0, double(x.size())));
    std::vector<double> moved = x;
    const double h = 1e-7;
    moved[at] += h;
    set_values(s, painted, moved);
    const double above = value();
    moved[at] -= 2 * h;
    set_values(s, painted, moved);
    EXPECT_NEAR((above - value()) / (2 * h), got[at], 1e-5 * largest) << "number " << at;
  }

  // Added to what the gradient holds already.
  set_values(s, painted, x);
  set_values(s, gradient, std::vector<double>(x.size(), 7.0));
  loss.eval(painted, original, gradient, sum, &neutral);
  const std::vector<double> more = values_of(s, gradient);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(more[i], 7 + got[i], 1e-12);
}

TEST(PerceptualLoss, BlackMayBeMinusOne) {
  Folder dir;
  const std::string path = dir / "vgg11.safetensors";
  write_net(path, vgg11);
  Stream s = Stream::cpu();
  const Shape shape{1, 16, 16, 3};
  const OwnedTensor painted(s.place(), shape, DType::f64), original(s.place(), shape, DType::f64);
  const OwnedTensor gradient(s.place(), shape, DType::f64), sum(s.place(), {1, 1, 1, 1}, DType::f64);
  const StepState neutral;
  std::vector<double> of;
  for (const float black : {0.0f, -1.0f}) {  // the same images in either range are the same to the net
    PerceptualLoss loss(s, path, shape, black, DType::f64, 1);
    for (const auto& [tensor, seed] : {std::pair(painted.tensor, 5), std::pair(original.tensor, 6)}) {
      std::vector<double> v = uniform_values(shape.numel(), uint64_t(seed), 0, 1);
      for (double& e : v) e = double(black) + (1 - double(black)) * e;
      set_values(s, tensor, v);
    }
    loss.eval(painted, original, gradient, sum, &neutral);
    of.push_back(values_of(s, sum)[0]);
  }
  EXPECT_NEAR(of[0], of[1], 1e-6 * of[0]);  // ImageNet's statistics are kept in f32
}

TEST(PerceptualLoss, AnotherNetIsRefused) {
  Folder dir;
  Stream s = Stream::cpu();
  for (const auto& [name, build] : {std::pair("resnet18", &resnet18), std::pair("alexnet", &alexnet)}) {
    const std::string path = dir / name;
    write_net(path, build);
    try {
      PerceptualLoss loss(s, path, {1, 16, 16, 3}, 0, DType::f32, 1);
      ADD_FAILURE() << name << " was taken";
    } catch (const DataError& e) {
      EXPECT_NE(std::string(e.what()).find(path + ": not VGG11's"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace telltale
