#include "data/draw.h"
#include "data/mask.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

TEST(Resize, BilinearAgreesWithTorchvisionLiterals) {
  // torch.nn.functional.interpolate(x, mode="bilinear", align_corners=False, antialias=True) of the row below, rounded.
  Image row(8, 1);
  const int levels[8]{0, 10, 40, 90, 160, 250, 200, 100};
  for (int x = 0; x < 8; ++x) std::fill_n(row.at(x, 0), 3, uint8_t(levels[x]));
  const auto values = [&](int width) {
    const Image out = resize(row, width, 1, Filter::bilinear);
    std::vector<int> v;
    for (int x = 0; x < width; ++x) v.push_back(out.at(x, 0)[0]);
    return v;
  };
  EXPECT_EQ(values(4), (std::vector<int>{10, 70, 190, 164}));
  EXPECT_EQ(values(3), (std::vector<int>{21, 131, 180}));
  EXPECT_EQ(values(13), (std::vector<int>{0, 4, 11, 30, 53, 84, 125, 170, 226, 233, 202, 142, 100}));
}

TEST(Resize, LanczosAgreesWithPillowLiterals) {
  // PIL.Image.resize((n, 1), LANCZOS) of the same row.
  Image row(8, 1);
  const int levels[8]{0, 10, 40, 90, 160, 250, 200, 100};
  for (int x = 0; x < 8; ++x) std::fill_n(row.at(x, 0), 3, uint8_t(levels[x]));
  const std::vector<int> small{3, 140, 189}, large{0, 2, 11, 28, 51, 84, 119, 172, 236, 253, 205, 130, 91};
  const Image a = resize(row, 3, 1, Filter::lanczos), b = resize(row, 13, 1, Filter::lanczos);
  for (int x = 0; x < 3; ++x) EXPECT_NEAR(a.at(x, 0)[0], small[x], 1) << x;
  for (int x = 0; x < 13; ++x) EXPECT_NEAR(b.at(x, 0)[0], large[x], 1) << x;
}

TEST(Resize, KeepsFlatFieldsAndSizesOfOne) {
  Image flat(37, 23);
  std::fill(flat.rgb.begin(), flat.rgb.end(), uint8_t(201));
  for (const Filter filter : {Filter::bilinear, Filter::lanczos})
    for (const auto& [w, h] : {std::pair{1, 1}, {5, 90}, {64, 3}, {37, 23}}) {
      const Image out = resize(flat, w, h, filter);
      EXPECT_EQ(out.width, w);
      EXPECT_EQ(out.height, h);
      for (const uint8_t v : out.rgb) ASSERT_EQ(v, 201);
    }
  refusal<ShapeError>([&] { resize(flat, 0, 4, Filter::bilinear); });
  refusal<ShapeError>([&] { resize(Image(), 4, 4, Filter::bilinear); });
}

TEST(Resize, ShrinkingDoesNotAlias) {
  Image stripes(256, 256);
  for (int y = 0; y < 256; ++y)
    for (int x = 0; x < 256; ++x) std::fill_n(stripes.at(x, y), 3, uint8_t(x % 2 ? 255 : 0));
  for (const uint8_t v : resize(stripes, 60, 60, Filter::bilinear).rgb)
    ASSERT_NEAR(v, 127.5, 9);  // torch: 119.5 to 135.5
}

TEST(Image, CropCentreAndFlip) {
  const Image image = test_picture(30, 20);
  const Image part = crop(image, {5, 3, 12, 9});
  EXPECT_EQ(part.width, 7);
  EXPECT_EQ(part.height, 6);
  EXPECT_TRUE(std::equal(part.at(0, 0), part.at(0, 0) + 21, image.at(5, 3)));
  refusal<ShapeError>([&] { crop(image, {25, 0, 31, 5}); });
  refusal<ShapeError>([&] { crop(image, {5, 5, 5, 9}); });
  EXPECT_EQ(centre_square(image, 20), crop(image, {5, 0, 25, 20}));
  EXPECT_EQ(centre_square(image, 8).width, 8);
  EXPECT_EQ(flip(flip(image)), image);
  EXPECT_EQ(flip(image).at(0, 4)[0], image.at(29, 4)[0]);
}

TEST(Boxes, IouWithAndWithoutTheExtraPixel) {
  const Box a{0, 0, 10, 10}, b{5, 0, 15, 10};
  EXPECT_DOUBLE_EQ(iou(a, b), 50. / 150);
  EXPECT_DOUBLE_EQ(iou_inclusive(a, b), 66. / (121 + 121 - 66));
  EXPECT_EQ(iou(a, {10, 0, 20, 10}), 0);
  EXPECT_EQ(iou({}, {}), 0);
  EXPECT_EQ(area({5, 5, 3, 9}), 0);
  EXPECT_EQ(iou({9, 9, 2, 2}, a), 0);
  EXPECT_EQ(flip(Box{2, 1, 5, 4}, 20), (Box{15, 1, 18, 4}));
  EXPECT_EQ(flip(Box{}, 20), Box{});
}

TEST(Mask, FollowsThePapersLaw) {
  int least_side = 999, most_side = 0, least = 999, most = 0;
  double area_sum = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const Box b = bounds_of(draw_mask(MaskLaw::paper, 256, 256, 3, std::to_string(i)));
    for (const auto& [low, high] : {std::pair{b.x_min, b.x_max}, {b.y_min, b.y_max}}) {
      EXPECT_GE(low, 0);
      EXPECT_LE(low, 199);
      EXPECT_LE(high, 254);
      least = std::min(least, low), most = std::max(most, high);
      least_side = std::min(least_side, high - low), most_side = std::max(most_side, high - low);
    }
    area_sum += double(area(b)) / 65536;
  }
  EXPECT_EQ(least, 0);
  EXPECT_EQ(most, 254);
  EXPECT_EQ(least_side, 55);
  EXPECT_GE(most_side, 252);
  EXPECT_NEAR(area_sum / kDraws, .168, .003);  // the paper's published table has 16.8 %
}

TEST(Mask, DependsOnSeedAndIdAlone) {
  const auto at = [](uint64_t seed, const std::string& id, int size) {
    return bounds_of(draw_mask(MaskLaw::paper, size, size, seed, id));
  };
  EXPECT_EQ(at(1, "a", 256), at(1, "a", 256));
  EXPECT_NE(at(1, "a", 256), at(2, "a", 256));
  EXPECT_NE(at(1, "a", 256), at(1, "b", 256));
  const Box b = at(1, "a", 256), half = at(1, "a", 128);
  EXPECT_NEAR(b.x_min / 2., half.x_min, .5);
  EXPECT_NEAR(b.y_max / 2., half.y_max, .5);
  EXPECT_EQ(bounds_of(draw_mask(MaskLaw::paper, 256, 256, 1, "pinned")), (Box{51, 53, 136, 239}));
  refusal<ShapeError>([&] { at(1, "a", 4); });
  EXPECT_NE(refusal<UsageError>([] { mask_law("blob"); }).find("paper"), std::string::npos);
}

TEST(Mask, DeepFillsBoxesAreHalfTheImageLessTheirInsets) {
  for (int i = 0; i < 2000; ++i) {
    const Grey mask = draw_mask(MaskLaw::boxes, 256, 192, 5, std::to_string(i));
    const Box b = bounds_of(mask);
    EXPECT_TRUE(b.width() >= 128 - 32 && b.width() <= 128 && b.height() >= 96 - 24 && b.height() <= 96);
    EXPECT_EQ(mask, rasterise(b, 256, 192)) << "a rectangle";
  }
}

TEST(Mask, BrushStrokesAreFreeForm) {
  double area_sum = 0;
  int rectangles = 0;
  constexpr int kDraws = 300;
  for (int i = 0; i < kDraws; ++i) {
    const Grey mask = draw_mask(MaskLaw::brush, 256, 256, 5, std::to_string(i));
    rectangles += mask == rasterise(bounds_of(mask), 256, 256);
    for (const uint8_t v : mask.pixels) ASSERT_TRUE(v == 0 || v == 255);
    area_sum += area_share(mask);
  }
  EXPECT_EQ(rectangles, 0);
  EXPECT_GT(area_sum / kDraws, .25);  // a box covers .22 alone
  EXPECT_LT(area_sum / kDraws, .55);
}

TEST(Mask, AreaBoundsHoldAndImpossibleOnesAreRefused) {
  for (const std::string& name : mask_law_names()) {
    const MaskLaw law = mask_law(name);
    EXPECT_EQ(name_of(law), name);
    EXPECT_EQ(draw_mask(law, 64, 64, 1, "a"), draw_mask(law, 64, 64, 1, "a"));
    EXPECT_NE(draw_mask(law, 64, 64, 1, "a"), draw_mask(law, 64, 64, 2, "a"));
    for (int i = 0; i < 200; ++i) {
      const double share = area_share(draw_mask(law, 64, 64, 7, std::to_string(i), {.15, .35}));
      EXPECT_TRUE(share >= .15 && share <= .35) << name << " " << share;
    }
    EXPECT_GT(area_share(draw_mask(law, 8, 8, 1, "least")), 0);
    refusal<UsageError>([&] { draw_mask(law, 64, 64, 1, "a", {.999, 1}); });
  }
}

TEST(Mask, RastersAndBounds) {
  const Box b{3, 5, 9, 6};
  const Grey mask = rasterise(b, 12, 10);
  EXPECT_EQ(std::count(mask.pixels.begin(), mask.pixels.end(), 255), area(b));
  EXPECT_EQ(std::count(mask.pixels.begin(), mask.pixels.end(), 0), 120 - area(b));
  EXPECT_EQ(bounds_of(mask), b);
  EXPECT_EQ(bounds_of(Grey(12, 10)), Box{});
}

TEST(Draw, FramesStayInsideTheImage) {
  Image image(20, 20);
  draw_rectangle(image, {4, 5, 12, 15}, {255, 0, 0}, 2);
  int red = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) red += image.rgb[i] == 255;
  EXPECT_EQ(red, 8 * 10 - 4 * 6);
  EXPECT_EQ(image.at(4, 5)[0], 255);
  EXPECT_EQ(image.at(8, 10)[0], 0);
  draw_rectangle(image, {-5, -5, 100, 100}, {0, 255, 0}, 3);
  draw_rectangle(image, {15, 15, 2, 2}, {0, 0, 255}, 3);
}

TEST(Draw, TextIsLegibleAndClipped) {
  Image image(60, 12);
  draw_text(image, 0, 0, "I", {255, 255, 255}, {9, 9, 9}, 1);
  std::string seen;
  for (int y = 1; y < 8; ++y)
    for (int x = 1; x < 6; ++x) seen += image.at(x, y)[0] == 255 ? '#' : '.';
  EXPECT_EQ(seen, ".###...#....#....#....#....#...###.");
  draw_text(image, 55, 9, "FAKE 97.5%", {255, 255, 255}, {0, 0, 0}, 2);
  draw_text(image, -100, -100, "x\xff", {255, 255, 255}, {0, 0, 0}, 1);
  draw_text(image, 0, 0, "", {1, 1, 1}, {0, 0, 0}, 1);
}

}  // namespace
}  // namespace telltale
