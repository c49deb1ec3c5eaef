// The loss laboratory as a user runs it: bench losses on known losses and on planted faults.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/choice.h"
#include "data/codec.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"

namespace telltale {
namespace {

using nlohmann::json;

class Laboratory : public testing::Test {
 protected:
  Outcome bench(const std::string& arguments) const {
    return Running("bench losses --starts 3 --rows 4096 --device cpu " + arguments, folder_ / "bench",
                   "export XDG_CACHE_HOME=" + folder_.path() + ";")
        .wait();
  }
  /// A CSV's rows as column → cell.
  static std::vector<std::map<std::string, std::string>> read_csv(const std::string& path) {
    const std::vector<std::string> lines = split(content(path), '\n');
    const std::vector<std::string> header = split(lines.at(0), ',');
    std::vector<std::map<std::string, std::string>> rows;
    for (size_t i = 1; i + 1 < lines.size(); ++i) {
      const std::vector<std::string> cells = split(lines[i], ',');
      EXPECT_EQ(cells.size(), header.size()) << lines[i];
      for (size_t k = 0; k < cells.size(); ++k) rows.resize(i), rows.back()[header[k]] = cells[k];
    }
    return rows;
  }
  static double number(const std::map<std::string, std::string>& row, const std::string& column) {
    return std::stod(row.at(column));
  }
  /// A loss file like GIoU's whose value or gradient is as given.
  std::string planted(const std::string& name, const std::string& value, const std::string& more = "") const {
    put(folder_ / (name + ".h"),
        "#include \"losses/box_geometry.h\"\n#include \"losses/sample_loss.h\"\n"
        "namespace telltale {\nstruct Planted {\n"
        "  static constexpr int pred = 4, target = 4;\n"
        "  template <class V, class T>\n  TT_HD V value(const V* p, const T* t) const {\n"
        "    const BoxPair b(p, t);\n    const V hull = b.hull.area();\n    return " +
            value + ";\n  }\n" + more + "};\nTT_REGISTER_LOSS(\"" + name + "\", Planted);\n}\n");
    return folder_ / (name + ".h");
  }
  const Folder folder_;
};

TEST_F(Laboratory, FieldsAndSimulationSayWhatThePapersSay) {
  const Outcome o = bench("--losses iou,giou,smooth_l1:smooth_l1_beta=0.5,bce --out " + (folder_ / "out"));
  ASSERT_EQ(o.code, 0) << o.err;
  // Boxes of 1 × 1 side by side, half, one and two sides apart: worked by hand.
  std::map<double, std::pair<double, double>> along_x;  // offset → loss, gradient
  for (const auto& row : read_csv(folder_ / "out/fields_giou.csv")) {
    if (row.at("field") != "offset" || number(row, "y") != 0) continue;
    along_x[number(row, "x")] = {number(row, "loss"), number(row, "gradient_x")};
  }
  EXPECT_NEAR(along_x.at(0).first, 0, 1e-6);
  EXPECT_NEAR(along_x.at(0.5).first, 1 - 0.5 / 1.5, 1e-6);
  EXPECT_NEAR(along_x.at(2).first, 1 + 1.0 / 3, 1e-6);
  EXPECT_NEAR(along_x.at(2).second, 2.0 / 9, 1e-6) << "of 1 + (x − 1)/(x + 1)";
  for (const auto& row : read_csv(folder_ / "out/fields_giou.csv")) {
    if (row.at("field") == "size" && number(row, "x") == 3 && number(row, "y") == 3) {
      EXPECT_NEAR(number(row, "loss"), 1 - 1.0 / 9, 1e-6);
      EXPECT_NEAR(number(row, "gradient_x"), 1.0 / 27, 1e-6) << "of 1 − 1/(w·h)";
    }
  }
  // IoU moves no box that is apart from its target; GIoU and smooth L1 do.
  std::map<std::string, std::map<int, double>> apart, all;
  for (const auto& row : read_csv(folder_ / "out/simulation.csv")) {
    apart[row.at("loss")][int(number(row, "step"))] = number(row, "mean_iou_apart");
    all[row.at("loss")][int(number(row, "step"))] = number(row, "mean_iou");
  }
  ASSERT_EQ(apart.size(), 3u) << "bce is no loss of boxes";
  for (auto& [loss, at] : apart) {
    EXPECT_EQ(at.size(), 201u);
    EXPECT_EQ(at[0], 0) << loss;
  }
  EXPECT_EQ(apart["iou"][200], 0);
  EXPECT_GT(apart["giou"][200], 0.9);
  EXPECT_GT(all["smooth_l1:smooth_l1_beta=0.5"][200], all["smooth_l1:smooth_l1_beta=0.5"][50]);

  const json report = json::parse(content(folder_ / "out/report.json")).at("losses");
  EXPECT_EQ(report.at("iou").at("boxes").at("agreement_with_iou"), 1) << "IoU orders boxes as IoU does";
  EXPECT_LT(report.at("smooth_l1:smooth_l1_beta=0.5").at("boxes").at("agreement_with_iou"), 0.95);
  EXPECT_EQ(report.at("iou").at("audit").at("dead zone").at("passed"), false);
  EXPECT_EQ(report.at("giou").at("audit").at("dead zone").at("passed"), true);
  EXPECT_GT(report.at("bce").at("speed").at(0).at("seconds"), 0);
  EXPECT_NE(o.out.find("iou: dead zone: "), std::string::npos);
  EXPECT_EQ(read_csv(folder_ / "out/gradients.csv").size(), 14u * 2 + 2) << "every kind of boxes, and own samples";
  if (std::system("gnuplot --version >/dev/null 2>&1") != 0) return;
  for (const char* name : {"fields_giou", "fields_bce", "simulation"}) {
    EXPECT_GT(read_image((folder_ / "out/") + name + ".png").width, 900) << name;
  }
}

TEST_F(Laboratory, LossesOverPixelsStandBesideTheOthers) {
  const Outcome o = bench("--losses bce,pixel_lovasz,pixel_dice:smooth=3 --out " + (folder_ / "out"));
  ASSERT_EQ(o.code, 0) << o.err;
  const json report = json::parse(content(folder_ / "out/report.json")).at("losses");
  ASSERT_EQ(report.size(), 3u);
  EXPECT_EQ(report.at("pixel_dice:smooth=3").at("settings").at("smooth"), 3);
  for (const char* name : {"pixel_lovasz", "pixel_dice:smooth=3"}) {
    EXPECT_LT(report.at(name).at("worst_gradient").at("error"), 1e-6) << name;
    EXPECT_EQ(report.at(name).at("audit").at("dead zone").at("applies"), true) << name;
    EXPECT_EQ(report.at(name).at("audit").at("wrong reduction").at("passed"), true) << name;
    EXPECT_EQ(report.at(name).at("speed").at(0).at("rows"), 64 * 64) << name;
  }
  const Outcome unknown = bench("--losses pixel_dic --out " + (folder_ / "out"));
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("unknown loss 'dic' over pixels; known: bce, boundary, dice"), std::string::npos)
      << unknown.err;
}

/// The same run gives the same numbers, whatever the threads.
TEST_F(Laboratory, NumbersDoNotDependOnThreads) {
  ASSERT_EQ(bench("--losses ciou --threads 1 --out " + (folder_ / "one")).code, 0);
  ASSERT_EQ(bench("--losses ciou --threads 2 --out " + (folder_ / "two")).code, 0);
  EXPECT_EQ(content(folder_ / "one/simulation.csv"), content(folder_ / "two/simulation.csv"));
  EXPECT_EQ(content(folder_ / "one/gradients.csv"), content(folder_ / "two/gradients.csv"));
}

TEST_F(Laboratory, PlantedFaultsAreCaughtByName) {
  const std::string giou = "1 - b.iou + (hull - b.joint) / (hull + T(kBoxEpsilon))";
  const Outcome wrong = bench("--out " + (folder_ / "wrong") + " --losses giou --loss-file " +
                              planted("wrong", giou,
                                      "  template <class T>\n  TT_HD T eval(const T* p, const T* t, T* dp) const {\n"
                                      "    const T y = dual_gradient(*this, p, t, dp);\n"
                                      "    if (p[3] > t[3]) dp[3] = -dp[3];\n    return y;\n  }\n"));
  EXPECT_EQ(wrong.code, 1) << wrong.err;
  EXPECT_NE(wrong.out.find("wrong: wrong gradient: worst error "), std::string::npos) << wrong.out;
  EXPECT_EQ(wrong.out.find("giou: wrong gradient"), std::string::npos) << "the others are not blamed";

  const Outcome empty = bench("--out " + (folder_ / "empty") + " --losses giou --loss-file " +
                              planted("empty", "1 - b.intersection / b.joint + (hull - b.joint) / hull"));
  EXPECT_EQ(empty.code, 1) << empty.err;
  EXPECT_NE(empty.out.find("empty: not finite: "), std::string::npos) << empty.out;
  const json report = json::parse(content(folder_ / "empty/report.json")).at("losses").at("empty");
  EXPECT_EQ(report.at("worst_gradient").at("kind"), "both empty");
}

TEST_F(Laboratory, MistakesEndInOneLine) {
  for (const char* arguments : {"--losses nosuch", "--losses giou:gamma=1", "--losses giou:=1", "--losses giou,giou",
                                "--losses smooth_l1:smooth_l1_beta=wide", "--loss-file /nosuch.h"}) {
    const Outcome o = bench(std::string(arguments) + " --out " + (folder_ / "mistake"));
    EXPECT_EQ(o.code, 2) << arguments;
    EXPECT_EQ(o.err_lines(), 1) << arguments << ": " << o.err;
  }
}

}  // namespace
}  // namespace telltale
