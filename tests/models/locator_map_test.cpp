// What a map of logits says of a picture, and how maps are scored.
#include <gtest/gtest.h>

#include <cmath>

#include "models/locator/map.h"
#include "models/pixel_metrics.h"
#include "tests/values.h"

namespace telltale {
namespace {

/// '#' is a logit of 1, '+' one of 3, anything else −1.
struct Drawn {
  std::vector<float> logits;
  LogitMap map;
  explicit Drawn(const std::vector<std::string>& rows, int scale = 1) {
    for (const std::string& row : rows)
      for (const char c : row) logits.push_back(c == '#' ? 1 : c == '+' ? 3 : -1);
    map = {int(rows[0].size()), int(rows.size()), scale, logits};
  }
};

TEST(LogitMaps, RegionsTouchAtCornersAndComeByArea) {
  const Drawn d({"#......",  //
                 ".#..+#.",  //
                 ".....+.",  //
                 "..#...."},
                2);
  const std::vector<Region> r = regions_of(d.map);
  ASSERT_EQ(r.size(), 3u);
  EXPECT_EQ(r[0].box, (Box{8, 2, 12, 6}));
  EXPECT_EQ(r[0].area, 3 * 4);
  EXPECT_NEAR(r[0].logit, 7.0 / 3, 1e-12);
  EXPECT_EQ(r[1].box, (Box{0, 0, 4, 4}));
  EXPECT_EQ(r[2].box, (Box{4, 6, 6, 8}));
  ASSERT_EQ(regions_of(d.map, 2).size(), 1u) << "the two of 3 touch at a corner";
  EXPECT_TRUE(regions_of(d.map, 4).empty());
}

TEST(LogitMaps, ARegionMayFillTheMapOrWindThroughIt) {
  const Drawn all({"###", "###"});
  EXPECT_EQ(regions_of(all.map)[0].area, 6);
  const Drawn snake({"#####",  //
                     "....#",  //
                     "#####",  //
                     "#....",  //
                     "#####"});
  ASSERT_EQ(regions_of(snake.map).size(), 1u);
  EXPECT_EQ(regions_of(snake.map)[0].area, 17);
}

TEST(LogitMaps, TheBoxIsAroundAllButSmallRegions) {
  const Region large{{10, 20, 50, 60}, 1000, 2}, part{{60, 5, 70, 15}, 50, 3}, speck{{0, 90, 7, 97}, 49, 9};
  EXPECT_EQ(box_of(std::vector<Region>{}), Box{});
  EXPECT_EQ(box_of(std::vector{large}), large.box);
  EXPECT_EQ(box_of(std::vector{speck, large, part}), (Box{10, 5, 70, 60}));
}

TEST(LogitMaps, APicturesLogitIsItsHighestHundredths) {
  std::vector<float> logits(1000, -2);
  for (int i = 0; i < 10; ++i) logits[size_t(i) * 97] = float(i);
  EXPECT_NEAR(picture_logit({50, 20, 2, logits}), 4.5, 1e-12);
  logits.resize(50);
  EXPECT_NEAR(picture_logit({10, 5, 2, logits}), 0, 1e-12) << "at least one: logit 0 of the first";
}

TEST(LogitMaps, SharesCountPaintedPixels) {
  Grey mask(4, 2);
  mask.pixels = {255, 0,   128, 127,  //
                 255, 255, 0,   0};
  float shares[2];
  shares_of(mask, 2, shares);
  EXPECT_EQ(shares[0], 0.75f);
  EXPECT_EQ(shares[1], 0.25f);
  EXPECT_ANY_THROW(shares_of(mask, 3, shares));
}

TEST(PixelScores, AreWhatCountingEveryPairSays) {
  const std::vector<double> drawn = uniform_values(120, 5, -2, 2), chance = uniform_values(120, 6, 0, 1);
  std::vector<float> logits, labels;
  for (size_t i = 0; i < drawn.size(); ++i) {
    logits.push_back(std::round(float(drawn[i]) * 4) / 4);  // with ties
    labels.push_back(i >= 80 ? 0 : float(chance[i] < 0.3 + 0.2 * drawn[i]));
  }
  PixelTally tally;
  for (int n = 0; n < 3; ++n) tally.add(logits.data() + 40 * n, labels.data() + 40 * n, 40);
  const PixelScores s = tally.scores();
  double won = 0, pairs = 0, both = 0, called = 0, is = 0, mean_iou = 0, precision = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    is += labels[i] >= 0.5f;
    called += logits[i] >= 0;
    both += labels[i] >= 0.5f && logits[i] >= 0;
    if (labels[i] < 0.5f) continue;
    double above = 0, painted_above = 0;
    for (size_t k = 0; k < logits.size(); ++k) {
      above += logits[k] >= logits[i];
      painted_above += logits[k] >= logits[i] && labels[k] >= 0.5f;
      if (labels[k] >= 0.5f) continue;
      ++pairs;
      won += logits[i] > logits[k] ? 1 : logits[i] == logits[k] ? 0.5 : 0;
    }
    precision += painted_above / above;
  }
  for (int n = 0; n < 2; ++n) {  // the third has nothing painted
    double b = 0, e = 0;
    for (size_t i = size_t(40 * n); i < size_t(40 * n + 40); ++i) {
      b += labels[i] >= 0.5f && logits[i] >= 0;
      e += labels[i] >= 0.5f || logits[i] >= 0;
    }
    mean_iou += b / e / 2;
  }
  EXPECT_NEAR(s.auc, won / pairs, 1e-12);
  EXPECT_NEAR(s.average_precision, precision / is, 1e-12);
  EXPECT_NEAR(s.f1, 2 * both / (called + is), 1e-12);
  EXPECT_NEAR(s.iou, both / (called + is - both), 1e-12);
  EXPECT_NEAR(s.mean_iou, mean_iou, 1e-12);
}

TEST(PixelScores, OfOneClassHaveNoArea) {
  PixelTally tally;
  EXPECT_TRUE(std::isnan(tally.scores().auc));
  const float logits[] = {1, -1}, nothing[] = {0, 0}, all[] = {1, 1};
  tally.add(logits, nothing, 2);
  EXPECT_TRUE(std::isnan(tally.scores().average_precision));
  EXPECT_EQ(tally.scores().f1, 0);
  PixelTally painted;
  painted.add(logits, all, 2);
  EXPECT_TRUE(std::isnan(painted.scores().auc));
  EXPECT_EQ(painted.scores().average_precision, 1);
}

}  // namespace
}  // namespace telltale
