// The table over fills: what is read, and figures counted by hand.
#include "models/locator/fills.h"

#include <gtest/gtest.h>

#include "data/mask.h"
#include "engine/program.h"
#include "tests/data/data_fixture.h"
#include "weights/names.h"

namespace telltale {
namespace {

using Kind = FillPicture::Kind;

FillFinding finding(Kind kind, const std::string& generator, double logit, RealBox predicted = {}) {
  FillFinding f{.picture = {kind, "", generator, "", ""}, .sample = {kind == Kind::fake, logit, {}, predicted}};
  if (kind == Kind::fake) f.sample.truth = {0, 0, 10, 10};
  return f;
}

TEST(Fills, FiguresAreThoseCountedByHand) {
  std::vector<FillFinding> all = {finding(Kind::fake, "b", 3, {0, 0, 10, 5}),
                                  finding(Kind::fake, "a", -1, {0, 0, 10, 10}),
                                  finding(Kind::fake, "b", 0.5, {0, 0, 10, 10})};
  all[0].both = 40, all[0].called = 50, all[0].painted = 100;
  all[2].both = 100, all[2].called = 100, all[2].painted = 100;
  all[1].painted = 100;
  all.push_back(finding(Kind::original, "", 1));
  for (int i = 0; i < 20; ++i) all.push_back(finding(Kind::camera, "", i == 0 ? 2 : i == 1 ? 0.25 : -2 - i));
  const FillScores s = score_fills(all);
  EXPECT_EQ(s.quiet_logit, 0.25) << "one of twenty cameras lies above";
  EXPECT_DOUBLE_EQ(s.camera_alarms, 0.1);
  EXPECT_DOUBLE_EQ(s.original_alarms, 1);
  ASSERT_EQ(s.generators.size(), 2u);
  EXPECT_EQ(s.generators[0].generator, "a");
  EXPECT_DOUBLE_EQ(s.generators[0].auc, 18.0 / 21);
  EXPECT_EQ(s.generators[0].found, 0);
  EXPECT_EQ(s.generators[0].box_iou, 0) << "a miss counts 0, whatever its box";
  EXPECT_EQ(s.generators[0].pixel_f1, 0);
  EXPECT_DOUBLE_EQ(s.generators[1].auc, (21 + 19) / 42.0);
  EXPECT_DOUBLE_EQ(s.generators[1].found, 1);
  EXPECT_DOUBLE_EQ(s.generators[1].box_iou, 0.75);
  EXPECT_DOUBLE_EQ(s.generators[1].pixel_f1, 2 * 140.0 / 350);
  EXPECT_EQ(s.all.fakes, 3);
  EXPECT_DOUBLE_EQ(s.all.auc, (21 + 19 + 18) / 63.0);
  EXPECT_DOUBLE_EQ(s.all.found, 2.0 / 3);
  EXPECT_DOUBLE_EQ(s.all.box_iou, 0.5);
  EXPECT_DOUBLE_EQ(s.all.pixel_f1, 2 * 140.0 / 450);
  EXPECT_EQ(fill_table(s).rows.size(), 3u);
  EXPECT_EQ(to_json(s)["all"]["fakes"], 3);
  EXPECT_THROW(score_fills({all[0]}), DataError) << "no cameras";
}

/// One fake with its original, one without, two cameras.
class FillFolder : public testing::Test {
 protected:
  FillFolder() {
    for (const char* sub : {"fake", "real", "mask", "camera"}) std::filesystem::create_directories(dir_ / sub);
    for (const char* id : {"1", "2"}) {
      write_jpeg(dir_ / "fake/" + id + ".jpg", test_picture(50, 42, 1), 95);
      write_png(dir_ / "mask/" + id + ".png", rasterise({10, 4, 30, 20}, 50, 42));
      write_jpeg(dir_ / "camera/" + id + ".jpg", test_picture(64, 33, 3), 95);
    }
    write_jpeg(dir_ / "real/1.jpg", test_picture(50, 42, 2), 95);
    put(dir_ / "fills.tsv", "id\tgenerator\toriginal\n1\tours\tyes\n2\ttheirs\tno\n");
    put(dir_ / "camera.tsv", "id\tcamera\n1\tx\n2\ty\n");
    const PictureGraph net = locator_graph({.width = 4}, {1, 8, 8, 3});
    Program program(net.graph, stream_, {.seed = 3});
    write_safetensors(dir_ / "net.safetensors", params_dict(stream_, program.params()),
                      {{"kind", "locator"}, {"net", "locator"}, {"width", "4"}, {"residuals", "1"}});
  }
  Folder dir_;
  Stream stream_ = Stream::cpu(1);
};

TEST_F(FillFolder, EveryPictureIsLookedAtAsItIsOnceSavedAgain) {
  const std::vector<FillPicture> pictures = read_fills(dir_.path());
  ASSERT_EQ(pictures.size(), 5u);
  EXPECT_EQ(pictures[2].kind, Kind::original);
  EXPECT_EQ(pictures[1].generator, "theirs");
  Locator locator(dir_ / "net.safetensors", stream_, {});
  int seen = 0;
  const std::vector<FillFinding> findings = look_at_fills(
      locator, pictures, 60, [&] { ++seen; }, [](const std::string& why) { ADD_FAILURE() << why; });
  EXPECT_EQ(seen, 5);
  const Image again = decode_image(encode_jpeg(read_image(dir_ / "fake/1.jpg"), 60), "again");
  const PictureMap map = locator.look(again);
  EXPECT_EQ(findings[0].sample.logit, picture_logit(map.view()));
  EXPECT_NE(findings[0].sample.logit, picture_logit(locator.look(read_image(dir_ / "fake/1.jpg")).view()));
  EXPECT_EQ(findings[0].sample.truth, (RealBox{10, 4, 30, 20}));
  EXPECT_EQ(findings[0].painted, 20 * 16);
  int64_t called = 0;
  for (const float p : map.probabilities()) called += p >= 0.5f;
  EXPECT_EQ(findings[0].called, called);
}

TEST_F(FillFolder, ABadPictureCostsItselfAlone) {
  const std::vector<FillPicture> pictures = read_fills(dir_.path());
  put(dir_ / "camera/1.jpg", "torn");
  write_png(dir_ / "mask/1.png", rasterise({10, 4, 30, 20}, 50, 40));
  Locator locator(dir_ / "net.safetensors", stream_, {});
  std::vector<std::string> refused;
  const auto findings = look_at_fills(
      locator, pictures, 60, [] {}, [&](const std::string& why) { refused.push_back(why); });
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0].picture.id, "2");
  ASSERT_EQ(refused.size(), 2u);
  EXPECT_NE(refused[0].find("mask/1.png: 50x40"), std::string::npos) << refused[0];
  EXPECT_NE(refused[1].find("camera/1.jpg"), std::string::npos) << refused[1];
}

TEST_F(FillFolder, WhatIsMissingIsNamed) {
  std::filesystem::remove(dir_ / "mask/2.png");
  EXPECT_NE(refusal([&] { read_fills(dir_.path()); }).find("mask/2.png"), std::string::npos);
  put(dir_ / "fills.tsv", "id\toriginal\n1\tyes\n");
  EXPECT_NE(refusal([&] { read_fills(dir_.path()); }).find("generator"), std::string::npos);
  std::filesystem::remove(dir_ / "camera.tsv");
  EXPECT_NE(refusal([&] { read_fills(dir_.path()); }).find("camera.tsv"), std::string::npos);
}

}  // namespace
}  // namespace telltale
