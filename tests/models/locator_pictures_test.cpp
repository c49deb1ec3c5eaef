// A locator on pictures of any size: padding, tiles that do not show, and files that are none.
#include <gtest/gtest.h>

#include <cmath>

#include "data/codec.h"
#include "data/scenes.h"
#include "engine/program.h"
#include "models/locator/inspection.h"
#include "models/locator/locator.h"
#include "tests/data/data_fixture.h"
#include "weights/names.h"

namespace telltale {
namespace {

/// Weights as they are at first, in a file.
class Locators : public testing::Test {
 protected:
  Locators() {
    const PictureGraph net = locator_graph(info_, {1, 8, 8, 3});
    Program program(net.graph, stream_, {.seed = 3});
    write(metadata(), program);
  }
  void write(const Metadata& metadata, Program& program) {
    write_safetensors(path(), params_dict(stream_, program.params()), metadata);
  }
  Metadata metadata() const { return {{"kind", "locator"}, {"net", "locator"}, {"width", "4"}, {"residuals", "1"}}; }
  std::string path() const { return dir_ / "net.safetensors"; }
  Folder dir_;
  Stream stream_ = Stream::cpu(1);
  LocatorInfo info_{.net = "locator", .width = 4, .residuals = true};
};

/// Noise: nothing in it repeats, so that a wrong place shows.
Image noise(int width, int height) {
  Image image(width, height);
  Random random(7);
  for (uint8_t& v : image.rgb) v = uint8_t(random.integer(0, 255));
  return image;
}

TEST_F(Locators, TilesDoNotShow) {
  Locator whole(path(), stream_, {.tile = 1024});
  Locator tiled(path(), stream_, {.tile = 2 * Locator::kSeam.reach + Locator::kSeam.blend + 24});
  for (const auto& [width, height] : {std::pair{533, 290}, {280, 281}, {8, 701}}) {
    const Image image = noise(width, height);
    const PictureMap a = whole.look(image), b = tiled.look(image);
    ASSERT_EQ(a.logits.size(), size_t((width + 1) / 2) * size_t((height + 1) / 2));
    ASSERT_EQ(a.logits.size(), b.logits.size());
    double worst = 0, spread = 0;
    for (size_t i = 0; i < a.logits.size(); ++i) {
      worst = std::max(worst, std::abs(double(a.logits[i]) - double(b.logits[i])));
      spread = std::max(spread, std::abs(double(a.logits[i]) - double(a.logits[0])));
    }
    EXPECT_LT(worst, 1e-4) << width << "x" << height;
    EXPECT_GT(spread, 1e-2) << "a map of one value shows nothing";
  }
}

TEST_F(Locators, ANetThatComparesIsShownTilesOfItsOwnSize) {
  info_ = {.net = "trace_locator", .width = 4, .residuals = true};
  const PictureGraph net = locator_graph(info_, {1, 8, 8, 3});
  Program program(net.graph, stream_, {.seed = 3});
  Metadata traces = metadata();
  traces["net"] = info_.net;
  write(traces, program);
  Image image = noise(533, 290);  // its right half is smoother: tiles differ in what is usual
  for (int y = 0; y < 290; ++y)
    for (int x = 267; x < 533; ++x) std::fill_n(image.at(x, y), 3, uint8_t(100 + image.at(x, y)[0] / 16));
  const PictureMap whole = Locator(path(), stream_, {.compared = 536}).look(image);
  EXPECT_EQ(Locator(path(), stream_, {.tile = 280, .compared = 536}).look(image).logits, whole.logits);
  const PictureMap tiled = Locator(path(), stream_, {}).look(image);
  double worst = 0;
  for (size_t i = 0; i < whole.logits.size(); ++i)
    worst = std::max(worst, std::abs(double(whole.logits[i]) - double(tiled.logits[i])));
  EXPECT_GT(worst, 1e-3) << "its tiles are not the picture";
}

TEST_F(Locators, ANetThatReadsGridsIsShownAScaledPictureAsItWasBefore) {
  const Image scene = crop(draw_scene(200, 3), {0, 0, 200, 163});
  const Image jpeg = decode_image(encode_jpeg(scene, 80), "a scene"), scaled = resize(jpeg, 150, 122, Filter::lanczos);
  EXPECT_FALSE(Locator(path(), stream_, {}).look(scaled).undone) << "this net does not";
  info_ = {.net = "trace_locator", .width = 4, .residuals = true};
  Program program(locator_graph(info_, {1, 8, 8, 3}).graph, stream_, {.seed = 3});
  Metadata traces = metadata();
  traces["net"] = info_.net;
  write(traces, program);
  Locator locator(path(), stream_, {});
  // Between others of its size, which keep their places.
  const Image other = crop(jpeg, {3, 5, 153, 127});
  const std::vector<PictureMap> maps = locator.look(std::vector<Image>{other, scaled, other});
  for (const size_t i : {0, 2}) {
    EXPECT_FALSE(maps[i].undone);
    EXPECT_EQ(maps[i].logits, locator.look(other).logits);
  }
  const PictureMap& map = maps[1];
  ASSERT_TRUE(map.undone);
  EXPECT_EQ(map.undone->width, 200);
  EXPECT_EQ(map.undone->height, 163);
  EXPECT_EQ(map.width, 150);
  EXPECT_EQ(map.height, 122);
  const PictureMap before = locator.look(undo_scaling(scaled, *map.undone));
  ASSERT_FALSE(before.undone) << "it lies on its grid again";
  const LogitMap now = map.view(), then = before.view();
  ASSERT_EQ(map.logits.size(), size_t(75 * 61));
  for (int y = 0; y < now.height; ++y)
    for (int x = 0; x < now.width; ++x) {
      const int u = int((x + .5) * then.width / now.width), v = int((y + .5) * then.height / now.height);
      float low = 1e9f, high = -1e9f;
      for (int b = std::max(0, v - 1); b <= std::min(then.height - 1, v + 1); ++b)
        for (int a = std::max(0, u - 1); a <= std::min(then.width - 1, u + 1); ++a) {
          const float logit = before.logits[size_t(b * then.width + a)];
          low = std::min(low, logit);
          high = std::max(high, logit);
        }
      ASSERT_GE(now.logits[size_t(y * now.width + x)], low) << x << "," << y;
      ASSERT_LE(now.logits[size_t(y * now.width + x)], high) << x << "," << y;
    }
  const Inspection said = inspect(locator, {.name = "scaled", .image = scaled, .remarks = {}});
  ASSERT_EQ(said.notes.size(), 1u);
  EXPECT_NE(said.notes[0].find("200x163"), std::string::npos) << said.notes[0];
  EXPECT_EQ(to_json(said)["scaled_from"]["height"], 163);
  EXPECT_FALSE(Locator(path(), stream_, {.undo_scaling = false}).look(scaled).undone);
}

TEST_F(Locators, TheBorderIsNotMuchTooWideEither) {
  // A pixel changes the map some way off, and nowhere beyond the border.
  Locator locator(path(), stream_, {});
  Image image = noise(256, 256);
  const PictureMap before = locator.look(image);
  for (int c = 0; c < 3; ++c) image.at(128, 128)[c] ^= 0xff;
  const PictureMap after = locator.look(image);
  int reach = 0;
  for (int y = 0; y < 128; ++y)
    for (int x = 0; x < 128; ++x)
      if (before.logits[size_t(y * 128 + x)] != after.logits[size_t(y * 128 + x)])
        reach = std::max({reach, std::abs(2 * x - 128), std::abs(2 * y - 128)});
  EXPECT_LE(reach, Locator::kSeam.reach);
  EXPECT_GT(reach, 16);
}

TEST_F(Locators, SmallAndOddPicturesHaveMapsOfTheirSize) {
  Locator locator(path(), stream_, {});
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 9}, {7, 3}, {17, 8}}) {
    const PictureMap map = locator.look(noise(width, height));
    const std::vector<float> p = map.probabilities();
    ASSERT_EQ(p.size(), size_t(width * height));
    for (const float v : p) EXPECT_TRUE(v >= 0 && v <= 1) << v;
    EXPECT_FLOAT_EQ(p[0], float(1 / (1 + std::exp(-double(map.logits[0])))));
    const std::vector<Region> all = map.regions(-1e9);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].box, (Box{0, 0, width, height})) << "a box lies within the picture";
  }
}

TEST(LocatorTiles, ShareEveryPixelAndStayAwayFromInnerEdges) {
  const int reach = 64, blend = 128;
  for (int length = 8; length <= 1600; length += 8)
    for (const int longest : {264, 300, 512}) {
      const Tiling t = tiles_along(length, longest, reach, blend);
      ASSERT_LE(t.length, longest);
      ASSERT_EQ(t.length % 8, 0);
      std::vector<float> sums(size_t(length), 0);
      for (const Tiling::Tile& tile : t.tiles) {
        ASSERT_EQ(tile.begin % 8, 0);
        ASSERT_LE(tile.begin + t.length, length);
        ASSERT_EQ(tile.share.size(), size_t(t.length));
        for (int i = 0; i < t.length; ++i) {
          const float share = tile.share[size_t(i)];
          const bool near = (tile.begin > 0 && i < reach) || (tile.begin + t.length < length && t.length - i <= reach);
          ASSERT_TRUE(near ? share == 0 : share >= 0) << length << " in " << longest;
          const float before = tile.share[size_t(std::max(0, i - 1))];
          ASSERT_LE(std::abs(share - before), 4.0f / blend) << "a seam would show";
          sums[size_t(tile.begin + i)] += share;
        }
      }
      for (const float sum : sums) ASSERT_NEAR(sum, 1, 1e-6);
    }
  EXPECT_EQ(tiles_along(264, 264, reach, blend).tiles.size(), 1u);
  EXPECT_THROW(tiles_along(512, 256, reach, blend), ShapeError);
}

TEST(LocatorTiles, BeyondTheRightAndBelowThePictureIsMirrored) {
  const Image image = noise(5, 11), wide = crop_mirrored(image, {0, 0, 8, 16});
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 8; ++x)
      for (int c = 0; c < 3; ++c)
        ASSERT_EQ(wide.at(x, y)[c], image.at(x < 5 ? x : 8 - x, y < 11 ? y : 20 - y)[c]) << x << "," << y;
  EXPECT_EQ(crop_mirrored(image, {2, 3, 8, 16}), crop(wide, {2, 3, 8, 16}));
  EXPECT_EQ(crop_mirrored(wide, {0, 0, 8, 16}), wide);
  EXPECT_THROW(crop_mirrored(image, {5, 0, 8, 8}), ShapeError);
}

TEST_F(Locators, OtherFilesAreRefusedInOneLine) {
  const PictureGraph net = locator_graph(info_, {1, 8, 8, 3});
  Program program(net.graph, stream_, {.seed = 3});
  const struct {
    std::string field, value, says;
  } mistakes[] = {{"kind", "detector", "not a locator's"},
                  {"width", "3", "from 4 to 256"},
                  {"width", "4.5", "from 4 to 256"},
                  {"residuals", "yes", "expected 0 or 1"},
                  {"net", "resnet18", "no locator known here"}};
  for (const auto& mistake : mistakes) {
    Metadata m = metadata();
    m[mistake.field] = mistake.value;
    write(m, program);
    const std::string text = refusal([&] { Locator(path(), stream_, {}); });
    EXPECT_NE(text.find(mistake.says), text.npos) << text;
    EXPECT_NE(text.find(path()), text.npos) << text;
  }
  Metadata wider = metadata();
  wider["width"] = "8";
  write(wider, program);
  EXPECT_THROW(Locator(path(), stream_, {}), DataError) << "tensors of another width";
}

}  // namespace
}  // namespace telltale
