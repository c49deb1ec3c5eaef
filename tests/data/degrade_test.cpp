// What training images and photographs are taken through: sizes, masks, chances and repeatability.
#include "data/degrade.h"

#include <algorithm>

#include "data/camera.h"
#include "data/mask.h"
#include "data/scenes.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

/// Drawn once: that takes longer than all that is tested here.
const Image& scene() {
  static const Image drawn = draw_scene(96, 3);
  return drawn;
}

struct Pair {
  Image image;
  Grey mask;
};

Pair degraded(const Degradation& d, uint64_t seed, int least = 64) {
  Pair p{scene(), rasterise({24, 32, 72, 80}, 96, 96)};
  Random random(seed);
  degrade(p.image, p.mask, d, least, random);
  return p;
}

TEST(Degrade, DoesNothingUnasked) {
  EXPECT_TRUE(Degradation{}.none());
  const Pair p = degraded({}, 1);
  EXPECT_EQ(p.image, scene());
  EXPECT_EQ(p.mask, rasterise({24, 32, 72, 80}, 96, 96));
}

TEST(Degrade, EachStepChangesPixelsAndOnlyScalingAndCroppingTheMask) {
  using Field = double Degradation::*;
  for (const Field field :
       {&Degradation::resize, &Degradation::crop, &Degradation::blur, &Degradation::sharpen, &Degradation::noise,
        &Degradation::grey, &Degradation::twice, &Degradation::webp, &Degradation::jpeg}) {
    Degradation d;
    d.*field = 1;
    const bool moves = field == &Degradation::resize || field == &Degradation::crop;
    bool changed = false;
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const Pair p = degraded(d, seed), again = degraded(d, seed);
      EXPECT_EQ(p.image, again.image);
      EXPECT_EQ(p.mask, again.mask);
      ASSERT_EQ(p.image.width, p.mask.width);
      ASSERT_EQ(p.image.height, p.mask.height);
      EXPECT_GE(std::min(p.image.width, p.image.height), 64);
      EXPECT_TRUE(moves || p.mask == rasterise({24, 32, 72, 80}, 96, 96));
      changed = changed || p.image != scene();
    }
    EXPECT_TRUE(changed);
  }
}

TEST(Degrade, AWebpIsTheLastThingDone) {
  Degradation once, both;
  once.webp = both.webp = both.jpeg = 1;
  for (uint64_t seed = 0; seed < 4; ++seed) EXPECT_EQ(degraded(once, seed).image, degraded(both, seed).image);
}

TEST(Degrade, TheMaskStaysOnWhatWasPainted) {
  // A white square on black with a mask just over it: whatever the scale and crop, bright is where the mask is.
  Degradation d;
  d.resize = d.crop = 1;
  for (uint64_t seed = 0; seed < 16; ++seed) {
    Pair p{Image(96, 96), rasterise({24, 32, 72, 80}, 96, 96)};
    for (size_t i = 0; i < p.mask.pixels.size(); ++i) std::fill_n(&p.image.rgb[3 * i], 3, p.mask.pixels[i]);
    Random random(seed);
    degrade(p.image, p.mask, d, 64, random);
    for (size_t i = 0; i < p.mask.pixels.size(); ++i)
      EXPECT_NEAR(p.image.rgb[3 * i], p.mask.pixels[i], 60) << seed;  // Lanczos rings, the mask is scaled linearly
  }
}

TEST(Degrade, RefusesWhatDoesNotFit) {
  Image image(16, 16);
  Grey other(16, 15), mask(16, 16);
  Random random(1);
  EXPECT_NE(refusal<ShapeError>([&] { degrade(image, other, {}, 8, random); }).find("16x15"), std::string::npos);
  EXPECT_NE(refusal<ShapeError>([&] { degrade(image, mask, {}, 24, random); }).find("24"), std::string::npos);
}

TEST(Camera, ScalesWithinItsBoundsAndRepeats) {
  const Image photo = draw_scene(96, 5);
  bool smaller = false, larger = false, same = false;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Random random(seed), again(seed);
    const Image taken = through_camera(photo, 72, random);
    EXPECT_EQ(taken, through_camera(photo, 72, again));
    EXPECT_GE(taken.width, 72);
    EXPECT_LE(taken.width, 384);
    EXPECT_EQ(taken.width, taken.height);
    smaller = smaller || taken.width < 96, larger = larger || taken.width > 96, same = same || taken.width == 96;
  }
  EXPECT_TRUE(smaller && larger && same);
  Random random(1);
  EXPECT_NE(refusal<ShapeError>([&] { through_camera(Image(), 8, random); }).find("empty"), std::string::npos);
}

TEST(Camera, TakesTheSmallestPictures) {
  for (const auto& [w, h] : {std::pair{1, 1}, {1, 9}, {9, 1}, {5, 3}})
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Random random(seed);
      const Image taken = through_camera(test_picture(w, h), 1, random);
      EXPECT_GE(taken.width, 1);
      EXPECT_EQ(taken.rgb.size(), size_t(taken.width) * size_t(taken.height) * 3);
    }
}

}  // namespace
}  // namespace telltale
