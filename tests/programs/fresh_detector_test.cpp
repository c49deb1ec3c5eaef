// bench/fresh_detector.py as users run it, on scenes drawn here, and its parts by their definitions.
#include <nlohmann/json.hpp>

#include "data/codec.h"
#include "data/mask.h"
#include "data/scenes.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class FreshDetector : public ::testing::Test {
 protected:
  Outcome run(const std::string& script) const {
    return Running("infer", dir_ / "said", cat("exec ", TT_SOURCE_DIR, "/", script, ";")).wait();
  }
  Folder dir_;
};

TEST_F(FreshDetector, ItsPartsAreWhatTheySay) {
  Grey mask(53, 31);
  for (int y = 0; y < 31; ++y)
    for (int x = 0; x < 53; ++x) mask.pixels[size_t(y) * 53 + size_t(x)] = uint8_t(7 * x + 13 * y);
  write_png(dir_ / "mask.png", mask);
  const Outcome o = run(cat("tests/programs/fresh_detector_parts.py ", dir_ / "mask.png", " 53 31"));
  EXPECT_EQ(o.code, 0) << o.err;
}

/// Smooth paint is told from scenes at once, scenes from themselves not at all; both in the same holes.
TEST_F(FreshDetector, TellsPaintFromNone) {
  fs::create_directories(dir_ / "photos");
  for (int i = 0; i < 48; ++i) write_png(dir_ / cat("photos/scene", 100 + i, ".png"), draw_scene(96, uint64_t(i)));
  const std::string line = cat("bench/fresh_detector.py --photos ", dir_ / "photos", " --bin ", programs(),
                               " --size 96 --draws 1 --holes several --json ", dir_ / "report.json");
  const Outcome o = run(line + " --weights none --painters telea --steps 90");
  ASSERT_EQ(o.code, 0) << o.err;
  const auto fills = nlohmann::json::parse(content(dir_ / "report.json")).at("fills");
  ASSERT_EQ(fills.size(), 2u);
  const auto &none = fills.at("photograph"), &telea = fills.at("telea");
  EXPECT_EQ(none.at("holes"), telea.at("holes"));
  EXPECT_GE(none.at("steps"), 90);
  EXPECT_GE(none.at("images"), 4);
  EXPECT_GT(telea.at("hole_against_ring"), double(none.at("hole_against_ring")) + .2) << o.out;
  EXPECT_NEAR(double(none.at("hole_against_ring")), .5, .2) << o.out;
  EXPECT_NE(o.out.find("| telea | "), std::string::npos) << o.out;

  const Outcome painter = run(line + " --painters nobody --weights none");
  EXPECT_EQ(painter.code, 2);
  EXPECT_EQ(painter.err_lines(), 1) << painter.err;
  EXPECT_NE(painter.err.find("nobody"), std::string::npos) << painter.err;
  fs::create_directories(dir_ / "none");
  const Outcome empty = run(line + " --photos " + (dir_ / "none"));
  EXPECT_EQ(empty.code, 1);
  EXPECT_EQ(empty.err_lines(), 1) << empty.err;
}

}  // namespace
}  // namespace telltale
