// The sweep: what each change does to a picture and its box, and that a judge who sees all is right after each.
#include "models/robustness/robustness.h"

#include <map>

#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

std::vector<Labelled> pictures() {
  std::vector<Labelled> all;
  for (int i = 0; i < 12; ++i) {
    Labelled l{test_picture(64, 48, i), {.id = cat("p", i), .fake = i % 2 == 0, .box = {}}};
    if (l.label.fake) l.label.box = {8, 8, 40, 40};
    all.push_back(l);
  }
  return all;
}

TEST(Robustness, EveryChangeChangesThePictureAndKeepsItsBoxInside) {
  const std::vector<Labelled> all = pictures();
  std::map<std::string, double> last;
  for (const Change& change : robustness_changes()) {
    const std::string name = change.family + " " + change.strength;
    Labelled l = all[0], again = all[0];
    change.apply(l);
    change.apply(again);
    EXPECT_EQ(l.image, again.image) << name << ": the same each time";
    EXPECT_EQ(l.image == all[0].image, change.family == "none") << name;
    EXPECT_TRUE(inside(l.label.box, l.image.width, l.image.height)) << name;
    if (change.family == "JPEG" || change.family == "blur" || change.family == "noise") {
      const double difference = mean_difference(l.image, all[0].image);
      EXPECT_GT(difference, last[change.family]) << name << ": from weak to strong";
      last[change.family] = difference;
    }
  }
  Labelled half = all[0];
  for (const Change& change : robustness_changes())
    if (change.family == "resize" && change.strength == "0.5") change.apply(half);
  EXPECT_EQ(half.image.width, 32);
  EXPECT_EQ(half.label.box, (Box{4, 4, 20, 20}));
}

TEST(Robustness, WhoIsAlwaysRightScoresOneEverywhere) {
  const std::vector<Labelled> all = pictures();
  const auto knows = [](std::span<const Labelled> changed) {
    std::vector<Sample> samples;
    for (const Labelled& l : changed)
      samples.push_back({l.label.fake, l.label.fake ? 3. : -3., real(l.label.box), real(l.label.box)});
    return samples;
  };
  const auto points = sweep_robustness(all, knows, .5);
  ASSERT_EQ(points.size(), robustness_changes().size());
  for (const RobustnessPoint& p : points) {
    EXPECT_EQ(p.reals, 6);
    EXPECT_LE(p.fakes, 6);
    if (p.fakes == 0) continue;  // a crop may lose all of them
    EXPECT_EQ(p.f1.value, 1) << p.family;
    EXPECT_EQ(p.auc.low, 1) << p.family;
    EXPECT_EQ(p.mean_iou.value, 1) << p.family;
    EXPECT_EQ(p.false_alarms.high, 0) << p.family;
  }
  EXPECT_EQ(points[0].fakes, 6);
  const auto panels = robustness_json(points);
  EXPECT_EQ(panels[0]["title"], "JPEG");
  EXPECT_EQ(panels[0]["at"][0], "none") << "each family begins with the unchanged pictures";
  EXPECT_EQ(panels[0]["series"].size(), 4u);
  EXPECT_EQ(robustness_numbers(points).header.size(), 16u);
}

}  // namespace
}  // namespace telltale
