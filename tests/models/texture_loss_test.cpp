// The texture loss in double: what it is blind to, what it punishes, its gradient by central differences.
#include "models/inpainter/texture_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"
#include "tests/values.h"

namespace telltale {
namespace {

constexpr int kSide = 64;

/// The loss of two images, and its gradient by the first.
struct Fixture {
  Stream s = Stream::cpu();
  Shape shape;
  TextureLoss loss;
  OwnedTensor painted, original, gradient, sum;
  StepState neutral;
  explicit Fixture(float black = 0, double weight = 1, Shape images = {1, kSide, kSide, 3})
      : shape(images),
        loss(s, images, black, DType::f64, weight),
        painted(s.place(), images, DType::f64),
        original(s.place(), images, DType::f64),
        gradient(s.place(), images, DType::f64),
        sum(s.place(), {1, 1, 1, 1}, DType::f64) {}
  double operator()(const std::vector<double>& a, const std::vector<double>& b) {
    set_values(s, painted, a);
    set_values(s, original, b);
    fill_zero(s, gradient);
    loss.eval(painted, original, gradient, sum, &neutral);
    return values_of(s, sum)[0];
  }
};

std::vector<double> noise(const Shape& shape, uint64_t seed, double strength) {
  std::vector<double> v = uniform_values(shape.numel(), seed, -strength, strength);
  for (double& e : v) e += 0.5;
  return v;
}

TEST(TextureLoss, IsZeroForEqualImagesAndGrowsWithItsWeight) {
  Fixture f, heavy(0, 3);
  const auto a = noise(f.shape, 1, 0.3), b = noise(f.shape, 2, 0.3);
  EXPECT_EQ(f(a, a), 0);
  EXPECT_GT(f(a, b), 0);
  EXPECT_NEAR(heavy(a, b), 3 * f(a, b), 1e-12);
}

TEST(TextureLoss, PrefersOtherGrainToBlurWhereTheAbsoluteErrorDoesNot) {
  Fixture f;
  const auto photo = noise(f.shape, 1, 0.3), other = noise(f.shape, 2, 0.3);
  const std::vector<double> flat(photo.size(), 0.5);
  EXPECT_LT(3 * f(other, photo), f(flat, photo));
  const auto absolute = [&](const std::vector<double>& v) {
    double sum = 0;
    for (size_t i = 0; i < v.size(); ++i) sum += std::abs(v[i] - photo[i]);
    return sum;
  };
  EXPECT_GT(absolute(other), absolute(flat));
}

TEST(TextureLoss, PunishesGrainThatIsTooStrong) {
  Fixture f;
  const auto photo = noise(f.shape, 1, 0.1);
  EXPECT_GT(f(noise(f.shape, 2, 0.3), photo), 5 * f(noise(f.shape, 3, 0.1), photo));
}

/// Grain of one strength, drawn anew for every place or for one square of `pitch` pixels and laid side by side.
TEST(TextureLoss, PunishesGrainThatComesAgainAtItsLattice) {
  Fixture f;
  const auto photo = noise(f.shape, 1, 0.3);
  const auto tiled = [&](int pitch) {
    const auto drawn = noise(f.shape, 2, 0.3);
    std::vector<double> v = drawn;
    for (size_t i = 0; i < v.size(); ++i) {
      const int c = int(i % 3), x = int(i / 3) % kSide, y = int(i / 3) / kSide;
      v[i] = drawn[size_t((y % pitch * kSide + x % pitch) * 3 + c)];
    }
    return v;
  };
  EXPECT_GT(f(tiled(TextureLoss::kLattice), photo), 1.6 * f(tiled(TextureLoss::kLattice + 3), photo));
  EXPECT_GT(f(tiled(TextureLoss::kLattice), photo), 1.5 * f(noise(f.shape, 3, 0.3), photo));
}

TEST(TextureLoss, SeesColourInTheResidueAlone) {
  Fixture f;
  const auto photo = noise(f.shape, 1, 0.2);
  std::vector<double> brighter = photo;
  for (double& v : brighter) v += 0.125;
  EXPECT_NEAR(f(brighter, photo), 0.125, 1e-7);  // no filter responds to what is even
}

TEST(TextureLoss, BlackMayBeMinusOne) {
  Fixture zero(0), minus(-1);
  const auto a = noise(zero.shape, 1, 0.3), b = noise(zero.shape, 2, 0.2);
  const auto wider = [](std::vector<double> v) {
    for (double& e : v) e = 2 * e - 1;
    return v;
  };
  const double expected = zero(a, b);
  EXPECT_NEAR(minus(wider(a), wider(b)), expected, 1e-6 * expected);
}

TEST(TextureLoss, ItsGradientIsItsOwn) {
  Fixture f(0, 2, {2, 48, 56, 3});
  const auto x = noise(f.shape, 1, 0.3), photo = noise(f.shape, 2, 0.3);
  f(x, photo);
  const std::vector<double> got = values_of(f.s, f.gradient);
  double largest = 0;
  for (double v : got) largest = std::max(largest, std::abs(v));
  ASSERT_GT(largest, 0);
  Random random(3);
  for (int i = 0; i < 24; ++i) {
    const size_t at = size_t(random.uniform(0, double(x.size())));
    const auto moved = [&](double by) {
      std::vector<double> v = x;
      v[at] += by;
      return f(v, photo);
    };
    constexpr double kStep = 1e-7;
    EXPECT_NEAR((moved(kStep) - moved(-kStep)) / (2 * kStep), got[at], 1e-5 * largest) << "number " << at;
  }
  // Added to what the gradient holds already.
  set_values(f.s, f.painted, x);
  set_values(f.s, f.gradient, std::vector<double>(x.size(), 7.0));
  f.loss.eval(f.painted, f.original, f.gradient, f.sum, &f.neutral);
  const std::vector<double> more = values_of(f.s, f.gradient);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(more[i], 7 + got[i], 1e-12);
}

TEST(TextureLoss, SidesThatDoNotFitAreRefused) {
  Stream s = Stream::cpu();
  for (const Shape& shape : {Shape{1, 40, 64, 3}, Shape{1, 64, 68, 3}}) {
    EXPECT_THROW(TextureLoss(s, shape, 0, DType::f32, 1), ShapeError) << shape.h << " x " << shape.w;
  }
}

}  // namespace
}  // namespace telltale
