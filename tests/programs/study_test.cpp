// train --compare and --sweep as a user runs them, on images with squares of noise.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/choice.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"

namespace telltale {
namespace {

using nlohmann::json;

class StudyPipeline : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    const std::string dir = *folder_ / "data";
    constexpr int kImages = 48, kSize = 64;
    write_dataset(dir, kImages, kSize);
    std::vector<Label> labels = Dataset::open(dir).labels();
    Random random(5);
    for (int i = 0; i < kImages; ++i) {
      labels[size_t(i)].split = i < 24 ? Split::train : i < 36 ? Split::validation : Split::test;
      Image image = test_picture(kSize, kSize, i);
      const Box& box = labels[size_t(i)].box;
      for (int y = box.y_min; y < box.y_max; ++y) {
        for (int x = box.x_min; x < box.x_max; ++x) {
          for (int c = 0; c < 3; ++c) image.at(x, y)[c] = uint8_t(random.integer(0, 255));
        }
      }
      write_jpeg(dir + "/images/" + labels[size_t(i)].id + ".jpg", image, 90);
    }
    write_labels(dir + "/labels.csv", labels);
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string line(const std::string& out, const std::string& more) {
    return "train --data " + (*folder_ / "data") + " --out " + out +
           " --net resnet18 --width 0.125 --size 64 --batch 8 --epochs 2 --lr 0.002 --alpha 1 --beta 1"
           " --box-unit normalised --device cpu --threads 1 --seed 3 " +
           more;
  }
  static Outcome train(const std::string& out, const std::string& more) {
    return Running(line(out, more), *folder_ / "train").wait();
  }
  static std::vector<std::vector<std::string>> cells(const std::string& csv) {
    std::vector<std::vector<std::string>> rows;
    for (const std::string& row : split(content(csv), '\n')) {
      if (!row.empty()) rows.push_back(split(row, ','));
    }
    return rows;
  }
  inline static std::unique_ptr<Folder> folder_;
};

TEST_F(StudyPipeline, ComparisonDiffersInTheLossAlone) {
  const std::string out = *folder_ / "compare";
  put(*folder_ / "recipe.json", R"({"loss": "smooth_l1", "loss_set": {"smooth_l1_beta": 1}})");
  const Outcome o =
      train(out, "--recipe " + (*folder_ / "recipe.json") + " --compare smooth_l1:smooth_l1_beta=1,giou:beta=2");
  ASSERT_EQ(o.code, 0) << o.err;
  // The same formula under another name: same net, same data order, same seeds, so the same bits.
  EXPECT_EQ(content(out + "/smooth_l1/results.csv"), content(out + "/smooth_l1:smooth_l1_beta=1/results.csv"));
  EXPECT_NE(content(out + "/smooth_l1/results.csv"), content(out + "/giou:beta=2/results.csv"));
  const json report = json::parse(content(out + "/report.json"));
  EXPECT_EQ(report.at("split"), "test");
  EXPECT_EQ(report.at("images"), 12);
  const json& trials = report.at("trials");
  ASSERT_EQ(trials.size(), 3u);
  const json& same = trials[1].at("against_the_first");
  EXPECT_EQ(same.at("p_calls_mcnemar"), 1);
  EXPECT_EQ(same.at("p_iou_permutation"), 1);
  EXPECT_EQ(same.at("auc_difference").at("low"), 0);
  EXPECT_EQ(same.at("mean_iou_difference").at("high"), 0);
  EXPECT_EQ(trials[0].at("recipe").at("loss_set").at("smooth_l1_beta"), 1) << "the recipe's";
  EXPECT_EQ(trials[2].at("recipe").at("loss"), "giou");
  EXPECT_TRUE(trials[2].at("recipe").at("loss_set").empty()) << "not the recipe's";
  EXPECT_EQ(trials[2].at("recipe").at("beta"), 2);
  for (const char* metric : {"f1", "auc", "mean_iou"}) {
    const json& i = trials[2].at(metric);
    EXPECT_LE(i.at("low"), i.at("value")) << metric;
    EXPECT_GE(i.at("high"), i.at("value")) << metric;
  }

  // The table is about the same weights that eval judges.
  const Outcome judged = Running("eval --data " + (*folder_ / "data") + " --weights '" + out +
                                     "/giou:beta=2/best.safetensors' --device cpu --out " + out + "/eval",
                                 *folder_ / "eval")
                             .wait();
  ASSERT_EQ(judged.code, 0) << judged.err;
  const json alone = json::parse(content(out + "/eval/report.json"));
  EXPECT_NEAR(alone.at("mean_iou").get<double>(), trials[2].at("mean_iou").at("value").get<double>(), 1e-6);
  EXPECT_NEAR(alone.at("roc_auc").get<double>(), trials[2].at("auc").at("value").get<double>(), 1e-6);
  EXPECT_EQ(cells(out + "/predictions.csv").size(), 13u);
  EXPECT_EQ(cells(out + "/predictions.csv")[0].size(), 8u);
  EXPECT_NE(o.out.find("| giou:beta=2 "), std::string::npos) << o.out;
  EXPECT_NE(content(out + "/results.md").find("| giou:beta=2 "), std::string::npos);
  if (std::system("gnuplot --version >/dev/null 2>&1") != 0) return;
  for (const char* name : {"curves", "intervals"}) EXPECT_GT(read_image(out + "/" + name + ".png").width, 900) << name;
}

TEST_F(StudyPipeline, SweepGoesOnAfterAKillAndGrows) {
  const std::string whole = *folder_ / "whole", killed = *folder_ / "killed";
  const std::string sweep = "--loss huber --sweep delta=0.1,1 --sweep beta=1,4 --by auc --epochs 1";
  const Outcome o = train(whole, sweep);
  ASSERT_EQ(o.code, 0) << o.err;
  const auto rows = cells(whole + "/results.csv");
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0][0], "delta");
  EXPECT_EQ(rows[0][1], "beta");
  const size_t auc = size_t(std::find(rows[0].begin(), rows[0].end(), "auc") - rows[0].begin());
  for (size_t i = 2; i < rows.size(); ++i)
    EXPECT_GE(std::stod(rows[i - 1][auc]), std::stod(rows[i][auc])) << "in order";
  const json recipe = json::parse(content(whole + "/delta=0.1,beta=4/config.json")).at("recipe");
  EXPECT_EQ(recipe.at("loss_set").at("delta"), 0.1);
  EXPECT_EQ(recipe.at("beta"), 4);
  EXPECT_EQ(json::parse(content(whole + "/report.json")).at("split"), "validation");

  Running run(line(killed, sweep), *folder_ / "killed_run");
  run.wait_for([&] { return !content(killed + "/delta=0.1,beta=4/metrics.jsonl").empty(); });
  run.signal(SIGKILL);
  EXPECT_EQ(run.wait().code, 128 + SIGKILL);
  EXPECT_EQ(train(killed, sweep).code, 2) << "not without --resume";
  ASSERT_EQ(train(killed, sweep + " --resume").code, 0);
  EXPECT_EQ(content(killed + "/results.csv"), content(whole + "/results.csv"));
  EXPECT_EQ(content(killed + "/predictions.csv"), content(whole + "/predictions.csv"));
  // Another value later: what was trained stays.
  const std::string last = content(killed + "/delta=1,beta=4/last.safetensors");
  ASSERT_EQ(train(killed, "--loss huber --sweep delta=0.1,1 --sweep beta=1,4,0 --by auc --epochs 1 --resume").code, 0);
  EXPECT_EQ(cells(killed + "/results.csv").size(), 7u);
  EXPECT_TRUE(last == content(killed + "/delta=1,beta=4/last.safetensors"));
}

TEST_F(StudyPipeline, MistakesEndInOneLineBeforeAnyTraining) {
  for (const char* arguments :
       {"--compare nosuch", "--compare smooth_l1", "--compare giou:width", "--compare giou --sweep beta=1,2",
        "--sweep beta", "--sweep beta=1,-1", "--sweep beta=1,1", "--sweep gamma=1,2", "--sweep seed=1,x",
        "--sweep net=resnet18,nosuch", "--loss huber --sweep delta=1,-1"}) {
    const std::string out = *folder_ / "mistake";
    const Outcome o = train(out, std::string("--quiet ") + arguments);
    EXPECT_EQ(o.code, 2) << arguments;
    EXPECT_EQ(o.err_lines(), 1) << arguments << ": " << o.err;
    EXPECT_FALSE(std::filesystem::exists(out)) << arguments;
  }
}

}  // namespace
}  // namespace telltale
