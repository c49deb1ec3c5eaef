// A picture that was a JPEG, scaled: from what size, and undone.
#include "data/unscale.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "data/codec.h"
#include "data/scenes.h"

namespace telltale {
namespace {

Image scene(int width, int height, int quality) {
  static const Image drawn = draw_scene(300, 3);
  return decode_image(encode_jpeg(crop(drawn, {0, 0, width, height}), quality), "a scene");
}

double rms(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::pow(double(a.rgb[i]) - double(b.rgb[i]), 2);
  return std::sqrt(sum / double(a.rgb.size()));
}

class Unscale : public testing::TestWithParam<std::tuple<double, Filter>> {};

TEST_P(Unscale, FindsSizeAndFilterAndComesNearThePictureBefore) {
  const auto [scale, filter] = GetParam();
  for (const auto& [width, height] : {std::pair{256, 256}, {300, 203}}) {
    const Image before = scene(width, height, 80);
    const int w = int(std::lround(width * scale)), h = int(std::lround(height * scale));
    const Image now = resize(before, w, h, filter);
    const std::optional<Scaling> found = find_scaling(now);
    ASSERT_TRUE(found) << width << "x" << height;
    EXPECT_EQ(found->width, width);
    EXPECT_EQ(found->height, height);
    if (scale > 1) {  // the filters differ less where they shrink
      EXPECT_EQ(found->filter, filter == Filter::bilinear ? ScalingFilter::bilinear : ScalingFilter::lanczos);
    }
    const Image again = undo_scaling(now, *found);
    ASSERT_EQ(again.width, width);
    ASSERT_EQ(again.height, height);
    const double plain = rms(resize(now, width, height, Filter::lanczos), before), undone = rms(again, before);
    EXPECT_LT(undone, plain) << "nearer than scaling back";
    if (scale > 1) {
      EXPECT_LT(undone, 2) << "nothing but rounding is lost by enlarging";
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Scales, Unscale,
                         testing::Combine(testing::Values(.75, .9, 1.5),
                                          testing::Values(Filter::bilinear, Filter::lanczos)));

TEST(UnscaleNothing, IsFoundWhereNothingWasScaledOrNoGridEverWas) {
  for (const uint64_t seed : {1, 2}) {
    const Image drawn = draw_scene(256, seed);
    EXPECT_FALSE(find_scaling(drawn)) << "never a JPEG";
    EXPECT_FALSE(find_scaling(resize(drawn, 192, 192, Filter::lanczos))) << "scaled, and never a JPEG";
  }
  EXPECT_FALSE(find_scaling(Image(200, 200))) << "flat";
  EXPECT_FALSE(find_scaling(resize(scene(128, 128, 80), 95, 95, Filter::bilinear))) << "too small to say";
}

TEST(UnscaleNothing, SizesThatCannotBeAreRefused) {
  EXPECT_THROW(undo_scaling(Image(64, 64), {.width = 0, .height = 64}), ShapeError);
  EXPECT_THROW(undo_scaling(Image(15, 64), {.width = 20, .height = 64}), ShapeError);
}

TEST(UnscaleNothing, EvenColourStaysAsItIs) {
  Image flat(64, 48);
  std::fill(flat.rgb.begin(), flat.rgb.end(), uint8_t(200));
  for (const auto f : {ScalingFilter::area, ScalingFilter::bilinear, ScalingFilter::bicubic, ScalingFilter::lanczos,
                       ScalingFilter::bilinear_aliased}) {
    const Image before = undo_scaling(flat, {.width = 85, .height = 64, .filter = f});
    for (const uint8_t v : before.rgb) ASSERT_NEAR(v, 200, 1) << name_of(f);
  }
}

}  // namespace
}  // namespace telltale
