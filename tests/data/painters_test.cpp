// Painters, blends and mask shapes: what must hold for each, and known cases of some.
#include <algorithm>
#include <cmath>

#include "data/mask.h"
#include "data/mask_shapes.h"
#include "data/painters/blend.h"
#include "data/painters/painter.h"
#include "data/scenes.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

constexpr int kSize = 48;

Grey box_mask(int width, int height, Box box) { return rasterise(box, width, height); }

Picture painted(const Painter& p, const Picture& photo, const Grey& mask, uint64_t seed = 1) {
  const Picture other = to_picture(draw_scene(64, 9));
  Random random(seed);
  return paint(p, {photo, mask, &other}, random);
}

/// Set in hard: what a dataset gets.
Image result(const Painter& p, const Picture& photo, const Grey& mask, uint64_t seed = 1) {
  return to_image(blend(photo, painted(p, photo, mask, seed), mask, Blend::hard, 1, p.kind != PainterKind::inpaint));
}

/// The largest difference in the hole, in levels.
int largest_difference(const Image& a, const Image& b, const Grey& mask) {
  int largest = 0;
  for (size_t i = 0; i < mask.pixels.size(); ++i)
    for (size_t c = 0; mask.pixels[i] && c < 3; ++c)
      largest = std::max(largest, std::abs(int(a.rgb[3 * i + c]) - int(b.rgb[3 * i + c])));
  return largest;
}

std::vector<Painter> of_kind(PainterKind kind) {
  std::vector<Painter> found;
  std::copy_if(painters().begin(), painters().end(), std::back_inserter(found),
               [&](const Painter& p) { return p.kind == kind; });
  return found;
}

TEST(Painters, AreKnownByName) {
  std::string names;
  for (const Painter& p : painters()) names += std::string(p.name) + " ";
  EXPECT_EQ(names,
            "blur deblock decoder denoise exemplar navier_stokes noise patchmatch recolour recompress resample sharpen splice "
            "telea ");
  EXPECT_STREQ(painter("telea").name, "telea");
  EXPECT_NE(refusal<UsageError>([] { painter("rembrandt"); }).find("known are blur"), std::string::npos);
}

TEST(Painters, RefuseWhatDoesNotFit) {
  Random random(1);
  const Picture photo(8, 8);
  const Grey small(8, 7), mask = box_mask(8, 8, {1, 1, 3, 3});
  for (const Painter& p : painters()) {
    EXPECT_NE(refusal<ShapeError>([&] { paint(p, {photo, small}, random); }).find(p.name), std::string::npos);
    EXPECT_NE(refusal<ShapeError>([&] { paint(p, {Picture(), Grey()}, random); }).find(p.name), std::string::npos);
  }
  EXPECT_NE(refusal<ShapeError>([&] {
              paint(painter("splice"), {photo, mask}, random);
            }).find("another photograph"),
            std::string::npos);
}

TEST(Painters, LeaveEverythingWithoutAHole) {
  const Picture photo = to_picture(draw_scene(kSize, 3));
  for (const Painter& p : painters()) EXPECT_EQ(painted(p, photo, Grey(kSize, kSize)), photo) << p.name;
}

TEST(Painters, AreFunctionsOfTheirSeed) {
  const Picture photo = to_picture(draw_scene(kSize, 4));
  const Grey mask = box_mask(kSize, kSize, {10, 12, 33, 30});
  for (const Painter& p : painters()) {
    EXPECT_EQ(painted(p, photo, mask, 5), painted(p, photo, mask, 5)) << p.name;
    const std::string name = p.name;
    if (name == "telea" || name == "navier_stokes") continue;  // draw nothing
    bool differs = false;
    for (uint64_t seed = 6; seed < 10; ++seed)
      differs = differs || painted(p, photo, mask, 5) != painted(p, photo, mask, seed);
    EXPECT_TRUE(differs) << name;
  }
}

TEST(Painters, ThoseThatInventNeverLookIntoTheHole) {
  const Picture photo = to_picture(draw_scene(kSize, 4));
  const Grey mask = box_mask(kSize, kSize, {10, 12, 33, 30});
  Picture other = photo;
  for (size_t i = 0; i < mask.pixels.size(); ++i)
    for (size_t c = 0; mask.pixels[i] && c < 3; ++c) other.rgb[3 * i + c] = float((i * 7 + c) % 13) / 13;
  for (const Painter& p : of_kind(PainterKind::inpaint))
    EXPECT_EQ(result(p, photo, mask), result(p, other, mask)) << p.name;
}

TEST(Painters, EverySizeAndMaskGivesPixels) {
  // One pixel wide or high, tiny, odd; holes of a pixel, a line, all but one pixel, everything.
  for (const auto& [w, h] : {std::pair{1, 1}, {1, 9}, {9, 1}, {2, 2}, {5, 3}, {17, 40}, {40, 17}}) {
    const Picture photo = to_picture(test_picture(w, h));
    std::vector<Grey> masks;
    for (const Box& b : {Box{0, 0, w, h}, Box{0, 0, 1, 1}, Box{w / 2, h / 2, w, h}, Box{0, h / 2, w, h / 2 + 1}})
      masks.push_back(box_mask(w, h, b));
    masks.push_back(box_mask(w, h, {0, 0, w, h}));
    masks.back().pixels[size_t(w * h) / 2] = 0;
    for (const Grey& mask : masks)
      for (const Painter& p : painters()) {
        const Picture out = painted(p, photo, mask);
        ASSERT_EQ(out.rgb.size(), photo.rgb.size()) << p.name;
        for (size_t i = 0; i < out.rgb.size(); ++i) {
          ASSERT_TRUE(std::isfinite(out.rgb[i])) << p.name << " " << w << "x" << h;
          ASSERT_GE(out.rgb[i], -.3f) << p.name;  // Lanczos and sharpening may overshoot
          ASSERT_LE(out.rgb[i], 1.3f) << p.name;
        }
      }
  }
}

TEST(Painters, ThoseThatInventContinueAConstantExactly) {
  const Picture grey(kSize, kSize, 100.0f / 255);
  for (const Box& hole : {Box{10, 12, 33, 30}, Box{0, 0, 20, 48}, Box{47, 47, 48, 48}, Box{1, 0, 48, 48}}) {
    const Grey mask = box_mask(kSize, kSize, hole);
    Picture photo = grey;
    for (size_t i = 0; i < mask.pixels.size(); ++i)
      if (mask.pixels[i]) std::fill_n(&photo.rgb[3 * i], 3, .9f);
    for (const Painter& p : of_kind(PainterKind::inpaint)) EXPECT_EQ(result(p, photo, mask), to_image(grey)) << p.name;
  }
}

TEST(Painters, ThoseThatInventContinueAGradient) {
  Image ramp(kSize, kSize);
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < kSize; ++x)
      for (int c = 0; c < 3; ++c) ramp.at(x, y)[c] = uint8_t(40 + 2 * x + c);
  const Grey mask = box_mask(kSize, kSize, {16, 18, 26, 28});  // ten pixels, twenty levels across
  for (const Painter& p : of_kind(PainterKind::inpaint))
    EXPECT_LE(largest_difference(result(p, to_picture(ramp), mask), ramp, mask), 10) << p.name;
}

/// A hole of `size` in vertical stripes of period 6.
TEST(Painters, ThoseThatCopyContinueTexture) {
  Image stripes(64, 64);
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x)
      for (int c = 0; c < 3; ++c) stripes.at(x, y)[c] = uint8_t(x % 6 < 3 ? 40 + 30 * c : 200);
  const Grey mask = box_mask(64, 64, {22, 24, 42, 40});
  for (uint64_t seed = 0; seed < 4; ++seed) {
    EXPECT_EQ(result(painter("exemplar"), to_picture(stripes), mask, seed), stripes) << seed;
    EXPECT_LE(largest_difference(result(painter("patchmatch"), to_picture(stripes), mask, seed), stripes, mask), 2);
  }
  // And those that diffuse do not, so the case tells them apart.
  EXPECT_GT(largest_difference(result(painter("telea"), to_picture(stripes), mask), stripes, mask), 50);
}

double energy_of_detail(const Image& image, const Box& box) {
  double sum = 0;
  for (int y = box.y_min + 1; y < box.y_max - 1; ++y)
    for (int x = box.x_min + 1; x < box.x_max - 1; ++x) {
      const double l = 4.0 * image.at(x, y)[1] - image.at(x - 1, y)[1] - image.at(x + 1, y)[1] - image.at(x, y - 1)[1] -
                       image.at(x, y + 1)[1];
      sum += l * l;
    }
  return sum / ((box.width() - 2) * (box.height() - 2));
}

TEST(Painters, ThoseThatInventNothingDoWhatTheyAreCalledAfter) {
  Image noisy = draw_scene(kSize, 5);
  Random random(3);
  for (uint8_t& v : noisy.rgb) v = uint8_t(std::clamp(int(v) + int(random.integer(-12, 12)), 0, 255));
  const Box hole{10, 10, 40, 40};
  const Grey mask = box_mask(kSize, kSize, hole);
  const double before = energy_of_detail(noisy, hole);
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const auto after = [&](const char* name) {
      return energy_of_detail(result(painter(name), to_picture(noisy), mask, seed), hole);
    };
    EXPECT_LT(after("blur"), .7 * before) << seed;
    EXPECT_LT(after("denoise"), .9 * before) << seed;
    EXPECT_LT(after("deblock"), before) << seed;
    EXPECT_GT(after("sharpen"), 1.2 * before) << seed;
    const Image quiet = test_picture(kSize, kSize);
    EXPECT_GT(energy_of_detail(result(painter("noise"), to_picture(quiet), mask, seed), hole),
              energy_of_detail(quiet, hole))
        << seed;
    for (const char* name : {"resample", "recompress", "recolour"})
      EXPECT_NE(result(painter(name), to_picture(noisy), mask, seed), noisy) << name;
  }
}

TEST(Painters, ASpliceHoldsTheOtherPhotograph) {
  const Picture photo = to_picture(draw_scene(kSize, 1));
  const Picture other(64, 64, .25f);
  const Grey mask = box_mask(kSize, kSize, {8, 8, 30, 30});
  bool plain = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const Picture out = paint(painter("splice"), {photo, mask, &other}, random);
    // A flat region stays flat whatever its colours are matched to.
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(out.at(9, 9)[c], out.at(28, 25)[c], 1e-5);
    plain = plain || std::abs(out.at(9, 9)[0] - 64.0f / 255) < 1e-5;
  }
  EXPECT_TRUE(plain) << "colours are left as they are in three of ten";
}

TEST(Blend, OutsideTheHoleTheBitsStay) {
  const Picture photo = to_picture(draw_scene(kSize, 1)), fill(kSize, kSize, .7f);
  Grey mask = box_mask(kSize, kSize, {8, 8, 30, 30});
  mask.pixels[5] = 255;
  for (const std::string& name : blend_names())
    for (const bool goes_on : {false, true}) {
      const Picture out = blend(photo, fill, mask, blend_named(name), 3, goes_on);
      for (size_t i = 0; i < mask.pixels.size(); ++i)
        ASSERT_TRUE(mask.pixels[i] || std::equal(&photo.rgb[3 * i], &photo.rgb[3 * i] + 3, &out.rgb[3 * i])) << name;
      EXPECT_EQ(name_of(blend_named(name)), name);
    }
  refusal<UsageError>([] { blend_named("soft"); });
  refusal<ShapeError>([&] { blend(photo, Picture(3, 3), mask, Blend::hard, 1, false); });
}

TEST(Blend, HardReplacesAndFeatherFadesIn) {
  const Picture photo(kSize, kSize, .2f), fill(kSize, kSize, .8f);
  const Grey mask = box_mask(kSize, kSize, {10, 10, 40, 40});
  const Picture hard = blend(photo, fill, mask, Blend::hard, 1, false);
  EXPECT_EQ(hard.at(10, 20)[0], .8f);
  const Picture soft = blend(photo, fill, mask, Blend::feather, 4, false);
  for (int k = 0; k < 5; ++k) EXPECT_NEAR(soft.at(10 + k, 25)[1], .2 + .6 * std::min(1.0, (k + 1) / 5.0), 1e-6) << k;
  EXPECT_EQ(soft.at(25, 25)[2], .8f);
}

TEST(Blend, PoissonKeepsGradientsAndMeetsTheBorder) {
  // A fill that is the photograph with another offset, and a ramp of its own beside it.
  const Picture photo = to_picture(test_picture(kSize, kSize));
  Picture fill = photo;
  for (float& v : fill.rgb) v += .3f;
  const Grey mask = box_mask(kSize, kSize, {10, 10, 40, 40});
  const Picture out = blend(photo, fill, mask, Blend::poisson, 1, true);
  for (size_t i = 0; i < out.rgb.size(); ++i) ASSERT_NEAR(out.rgb[i], photo.rgb[i], 1e-3);
  const Picture flat = blend(Picture(kSize, kSize, .4f), Picture(kSize, kSize, .9f), mask, Blend::poisson, 1, false);
  for (const float v : flat.rgb) ASSERT_NEAR(v, .4f, 1e-3);
  const Grey everything = box_mask(kSize, kSize, {0, 0, kSize, kSize});
  EXPECT_EQ(blend(photo, fill, everything, Blend::poisson, 1, true), fill) << "no border to meet";
}

TEST(Picture, DepthIsTheDistanceToTheNearestPixelOutside) {
  Random random(2);
  for (int trial = 0; trial < 5; ++trial) {
    Grey mask(23, 17);
    for (uint8_t& v : mask.pixels) v = random.uniform() < .9 ? 255 : 0;
    const std::vector<float> depth = depth_in_hole(mask);
    for (int y = 0; y < 17; ++y)
      for (int x = 0; x < 23; ++x) {
        double nearest = 1e12;
        for (int v = 0; v < 17; ++v)
          for (int u = 0; u < 23; ++u)
            if (!mask.pixels[size_t(v * 23 + u)]) nearest = std::min(nearest, std::hypot(x - u, y - v));
        EXPECT_NEAR(depth[size_t(y * 23 + x)], nearest, 1e-4);
      }
  }
  for (const float d : depth_in_hole(box_mask(5, 4, {0, 0, 5, 4}))) EXPECT_EQ(d, 1e6f);
}

TEST(Picture, HarmonicFillIsTheMeanOfItsNeighbours) {
  Image ramp(64, 64);
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x)
      for (int c = 0; c < 3; ++c) ramp.at(x, y)[c] = uint8_t(20 + 2 * x + y);
  Picture picture = to_picture(ramp);
  const Grey mask = box_mask(64, 64, {12, 9, 55, 50});
  for (size_t i = 0; i < mask.pixels.size(); ++i)
    if (mask.pixels[i]) std::fill_n(&picture.rgb[3 * i], 3, 0.0f);
  fill_harmonic(picture, mask);
  EXPECT_LE(largest_difference(to_image(picture), ramp, mask), 1) << "a plane is harmonic";
}

TEST(Picture, BlurKeepsTheMeanAndSpreadsADot) {
  Picture dot(21, 21);
  dot.at(10, 10)[0] = 1;
  const Picture blurred = gaussian_blur(dot, 1.5);
  double sum = 0, squared = 0;
  for (int y = 0; y < 21; ++y)
    for (int x = 0; x < 21; ++x) sum += blurred.at(x, y)[0], squared += blurred.at(x, y)[0] * (x - 10) * (x - 10);
  EXPECT_NEAR(sum, 1, 1e-4);
  EXPECT_NEAR(squared, 1.5 * 1.5, .08);
  EXPECT_EQ(gaussian_blur(dot, 0), dot);
}

TEST(MaskShapes, HaveAboutTheAreaAskedFor) {
  const Image photo = draw_scene(128, 3);
  for (const double area : {.005, .03, .2, .4}) {
    double sums[4] = {0, 0, 0, 0};
    constexpr int kTrials = 60;
    for (int k = 0; k < kTrials; ++k) {
      Random random(uint64_t(k), 5);
      sums[0] += area_share(random_rectangle(128, 128, area, random));
      sums[1] += area_share(random_polygon(128, 128, area, random));
      sums[2] += area_share(random_stroke(128, 128, area, random));
      sums[3] += area_share(random_object(photo, area, random));
    }
    EXPECT_NEAR(sums[0] / kTrials / area, 1, .1) << area;
    EXPECT_NEAR(sums[1] / kTrials / area, .95, .2) << area;
    EXPECT_NEAR(sums[2] / kTrials / area, 1.2, .3) << area;   // a segment more or less
    EXPECT_NEAR(sums[3] / kTrials / area, 1.2, .45) << area;  // outlined with some pixels to spare
  }
}

TEST(MaskShapes, AnObjectFollowsTheEdge) {
  Image photo(96, 96);
  std::fill(photo.rgb.begin(), photo.rgb.end(), uint8_t(40));
  for (int y = 30; y < 66; ++y)
    for (int x = 30; x < 66; ++x) photo.at(x, y)[0] = 220;
  int followed = 0, inside = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const Grey mask = random_object(photo, 36.0 * 36 / (96 * 96), random);
    if (!mask.pixels[48 * 96 + 48]) continue;
    ++inside;
    const Box b = bounds_of(mask);
    followed += b.x_min >= 25 && b.y_min >= 25 && b.x_max <= 71 && b.y_max <= 71;
  }
  EXPECT_GT(inside, 10);
  EXPECT_GT(followed, inside * 7 / 10);
}

TEST(MaskShapes, LawsThatLookNeedAPhotograph) {
  const Image photo = draw_scene(64, 1);
  for (const std::string& name : mask_law_names(true)) {
    const MaskLaw law = mask_law(name);
    EXPECT_EQ(draw_mask(law, photo, 3, "a"), draw_mask(law, photo, 3, "a"));
    EXPECT_EQ(name_of(law), name);
    for (int i = 0; i < 10; ++i) {
      const double share = area_share(draw_mask(law, photo, 7, std::to_string(i), {.05, .35}));
      EXPECT_GE(share, .05) << name;
      EXPECT_LE(share, .35) << name;
    }
    if (looks_at_photo(law)) {
      EXPECT_NE(refusal<UsageError>([&] { draw_mask(law, 64, 64, 3, "a"); }).find("here is none"), std::string::npos);
    } else {
      EXPECT_EQ(draw_mask(law, photo, 3, "a"), draw_mask(law, 64, 64, 3, "a")) << name;
    }
  }
  double least = 1;
  for (int i = 0; i < 200; ++i)
    least = std::min(least, area_share(draw_mask(MaskLaw::any, photo, 1, std::to_string(i))));
  EXPECT_LT(least, .012);
}

}  // namespace
}  // namespace telltale
