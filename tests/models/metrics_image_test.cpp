// Quality of a painted hole against values worked out by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "data/mask.h"
#include "kernels/device/philox.h"
#include "models/inpainter/image_quality.h"

namespace telltale {
namespace {

Image plain(int size, uint8_t value) {
  Image image(size, size);
  std::fill(image.rgb.begin(), image.rgb.end(), value);
  return image;
}

Image noise(int size, uint64_t seed) {
  Image image(size, size);
  Random random(seed);
  for (uint8_t& v : image.rgb) v = uint8_t(random.integer(0, 255));
  return image;
}

TEST(HoleQuality, EqualImages) {
  const Image image = noise(24, 1);
  const HoleQuality q = hole_quality(image, image, rasterise({4, 4, 12, 20}, 24, 24));
  EXPECT_EQ(q.psnr, std::numeric_limits<double>::infinity());
  EXPECT_NEAR(q.ssim, 1, 1e-12);
  EXPECT_EQ(q.l1, 0);
}

TEST(HoleQuality, PlainImagesByHand) {
  const HoleQuality q = hole_quality(plain(16, 100), plain(16, 110), rasterise({0, 0, 8, 8}, 16, 16));
  EXPECT_NEAR(q.psnr, 10 * std::log10(255.0 * 255 / 100), 1e-12);
  const double c1 = 6.5025;
  EXPECT_NEAR(q.ssim, (2 * 100 * 110 + c1) / (100 * 100 + 110 * 110 + c1), 1e-9);
  EXPECT_EQ(q.l1, 10);
}

TEST(HoleQuality, LooksAtTheHoleOnly) {
  const Grey mask = rasterise({2, 2, 6, 6}, 40, 40);
  Image painted = plain(40, 100), truth = painted;
  painted.at(3, 3)[1] = 148;  // one of 48 values
  painted.at(30, 30)[0] = 0;  // outside, and out of the windows' reach
  const HoleQuality q = hole_quality(truth, painted, mask);
  EXPECT_NEAR(q.l1, 1, 1e-12);
  EXPECT_NEAR(q.psnr, 10 * std::log10(255.0 * 255 / 48), 1e-12);
  painted.at(30, 30)[0] = 100;
  EXPECT_EQ(q.ssim, hole_quality(truth, painted, mask).ssim);
}

TEST(HoleQuality, SsimByTheDefinitionAtOnePoint) {
  const Image x = noise(11, 2), y = noise(11, 3);
  // The hole is the centre alone: one whole window of 11 × 11.
  double total = 0, mx[3]{}, my[3]{}, xx[3]{}, yy[3]{}, xy[3]{};
  for (int r = 0; r < 11; ++r) {
    for (int c = 0; c < 11; ++c) {
      const double w = std::exp(-((r - 5) * (r - 5) + (c - 5) * (c - 5)) / 4.5);
      total += w;
      for (int k = 0; k < 3; ++k) {
        const double a = x.at(c, r)[k], b = y.at(c, r)[k];
        mx[k] += w * a, my[k] += w * b, xx[k] += w * a * a, yy[k] += w * b * b, xy[k] += w * a * b;
      }
    }
  }
  double ssim = 0;
  for (int k = 0; k < 3; ++k) {
    const double a = mx[k] / total, b = my[k] / total;
    const double va = xx[k] / total - a * a, vb = yy[k] / total - b * b, cov = xy[k] / total - a * b;
    ssim += (2 * a * b + 6.5025) * (2 * cov + 58.5225) / ((a * a + b * b + 6.5025) * (va + vb + 58.5225)) / 3;
  }
  EXPECT_NEAR(hole_quality(x, y, rasterise({5, 5, 6, 6}, 11, 11)).ssim, ssim, 1e-9);
}

TEST(HoleQuality, MeanColourAndContrast) {
  Image image = plain(8, 50);
  const Grey mask = rasterise({0, 0, 4, 8}, 8, 8);
  for (int y = 0; y < 8; ++y) {
    for (int x = 4; x < 8; ++x) image.at(x, y)[2] = x < 6 ? 10 : 30;
  }
  const Image filled = mean_colour_fill(image, mask);
  EXPECT_EQ(filled.at(0, 0)[0], 50);
  EXPECT_EQ(filled.at(3, 7)[2], 20);
  EXPECT_EQ(filled.at(5, 5)[2], 10);
  EXPECT_EQ(hole_contrast(filled, mask), 0);
  EXPECT_NEAR(hole_contrast(image, rasterise({4, 0, 8, 8}, 8, 8)), std::sqrt(100.0 / 3), 1e-9);
}

TEST(HoleQuality, RefusesWhatDoesNotFit) {
  EXPECT_THROW(hole_quality(plain(8, 1), plain(9, 1), rasterise({0, 0, 4, 4}, 8, 8)), ShapeError);
  EXPECT_THROW(hole_quality(plain(8, 1), plain(8, 1), Grey(8, 8)), ShapeError);
}

}  // namespace
}  // namespace telltale
