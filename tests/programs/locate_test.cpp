// train --task locate as users run it: masks in, a map out, and what every task has: resuming, --check, --batch auto.
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "tests/engine/program_run.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

std::vector<std::vector<std::string>> table(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream stream(csv);
  for (std::string line; std::getline(stream, line);) {
    rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(cell);
  }
  return rows;
}

class Locate : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fs::create_directories(dir());
    const Outcome o =
        run("synth --scenes 60 --size 32 --width 2 --weights random:1 --split .8,.1,.1 --quiet --out " + data());
    ASSERT_EQ(o.code, 0) << o.err;
  }
  static void TearDownTestSuite() { fs::remove_all(dir()); }
  static std::string dir() { return testing::TempDir() + "locate_" + std::to_string(getpid()); }
  static std::string data() { return dir() + "/data"; }
  static std::string in(const std::string& name) { return dir() + "/" + name; }
  static Outcome run(const std::string& line) { return Running(line, dir() + "/run").wait(); }
  static std::string train(const std::string& out, const std::string& more = "") {
    return "train --task locate --data " + data() + " --out " + in(out) +
           " --width 8 --window 16 --batch 12 --epochs 3 --lr 0.01 --seed 5 --threads 1 --device cpu " + more;
  }
};

TEST_F(Locate, LearnsWhereItWasPainted) {
  const Outcome o = run(train("learns", "--window 32 --epochs 12"));
  ASSERT_EQ(o.code, 0) << o.err;
  const auto rows = table(content(in("learns/results.csv")));
  ASSERT_EQ(rows.size(), 13u);
  const auto column = [&](const char* name, size_t row) {
    const auto at = std::find(rows[0].begin(), rows[0].end(), name);
    EXPECT_NE(at, rows[0].end()) << name;
    return std::stod(rows[row][size_t(at - rows[0].begin())]);
  };
  EXPECT_LT(column("train_loss", 12), 0.7 * column("train_loss", 1));
  EXPECT_GT(column("val_pixel_auc", 12), 0.8) << content(in("learns/results.csv"));
  EXPECT_GT(column("train_pixel_iou", 12), column("train_pixel_iou", 1));
  const Safetensors best = Safetensors::open(in("learns/best.safetensors"));
  EXPECT_EQ(best.metadata().at("kind"), "locator");
  EXPECT_EQ(best.metadata().at("width"), "8");
  const auto config = nlohmann::json::parse(content(in("learns/config.json")));
  EXPECT_EQ(config.at("task"), "locate");
}

TEST_F(Locate, AKilledRunEndsByteIdentical) {
  ASSERT_EQ(run(train("whole", "--checkpoint-minutes 0 --loss dice")).code, 0);
  for (const size_t steps : {2u, 6u}) {  // of twelve: within an epoch, and in another
    Running running(train("killed", "--checkpoint-minutes 0 --loss dice --resume"), dir() + "/run");
    running.wait_for([&] {
      const std::string log = content(in("killed/metrics.jsonl"));
      return size_t(std::count(log.begin(), log.end(), '\n')) >= steps;
    });
    running.signal(SIGKILL);
    running.wait();
  }
  const Outcome o = run(train("killed", "--checkpoint-minutes 0 --loss dice --resume"));
  ASSERT_EQ(o.code, 0) << o.err;
  for (const char* file : {"/last.safetensors", "/best.safetensors", "/results.csv"}) {
    EXPECT_FALSE(content(in("whole") + file).empty()) << file;
    EXPECT_TRUE(content(in("whole") + file) == content(in("killed") + file)) << file << " differs";
  }
}

TEST_F(Locate, ThreadsCacheAndInitialWeightsAreAsForEveryTask) {
  ASSERT_EQ(run(train("one", "--workers 1 --epochs 2")).code, 0);
  ASSERT_EQ(run(train("many", "--workers 5 --epochs 2 --cache-mb 8")).code, 0);
  EXPECT_TRUE(content(in("one/best.safetensors")) == content(in("many/best.safetensors")));
  const Outcome on = run(train("goes_on", "--epochs 1 --init " + in("one/best.safetensors")));
  EXPECT_EQ(on.code, 0) << on.err;
  const Outcome check = run(train("checked", "--check"));
  EXPECT_EQ(check.code, 0) << check.out << check.err;
  EXPECT_NE(check.out.find("tensors agree, node by node"), std::string::npos) << check.out;
  EXPECT_FALSE(fs::exists(in("checked")));
  const Outcome fits = run(train("fits", "--batch auto --epochs 1"));
  EXPECT_EQ(fits.code, 0) << fits.err;
  const auto config = nlohmann::json::parse(content(in("fits/config.json")));
  const int train_images = config.at("dataset").at("train"), batch = config.at("recipe").at("batch");
  EXPECT_NE(fits.err.find(cat("--batch auto: ", batch, " images a step")), std::string::npos) << fits.err;
  EXPECT_LE(batch, train_images);
  EXPECT_GT(batch, train_images - 8) << "the whole split fits";
  const Outcome resident = run(train("resident", "--resident on --window 0 --epochs 2"));
  EXPECT_EQ(resident.code, 0) << resident.err;
  ASSERT_EQ(run(train("sent", "--window 0 --epochs 2")).code, 0);
  EXPECT_TRUE(content(in("resident/best.safetensors")) == content(in("sent/best.safetensors")));
}

TEST_F(Locate, TheLocatorOfTracesIsTrainedAndMeasured) {
  const Outcome trained = run(train("traces", "--net trace_locator --window 32 --epochs 1"));
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(Safetensors::open(in("traces/best.safetensors")).metadata().at("net"), "trace_locator");
  const std::string weights = " --weights " + in("traces/best.safetensors") + " --device cpu --threads 1 --quiet ";
  const Outcome measured = run("eval --data " + data() + weights + " --out " + in("traces_report"));
  ASSERT_EQ(measured.code, 0) << measured.err;
  EXPECT_NE(measured.out.find("trace_locator (width 8"), std::string::npos) << measured.out;
  const auto report = nlohmann::json::parse(content(in("traces_report/report.json")));
  EXPECT_EQ(report.at("weights").at("net"), "trace_locator");
  EXPECT_FALSE(report.at("calibrated"));
  for (const char* figure : {"auc", "average_precision"}) {
    EXPECT_GT(report.at("pixels").at(figure), 0) << figure;
    EXPECT_LE(report.at("pixels").at(figure), 1) << figure;
  }
  const double error = report.at("calibration_error");
  EXPECT_TRUE(error >= 0 && error <= 1) << error;
}

TEST_F(Locate, EveryNetIsTrainedAndMeasured) {
  // As ImageNet's weights are: a resnet18 with another head.
  ASSERT_EQ(run("train --data " + data() +
                " --net resnet18 --width .125 --epochs 1 --batch 12 --device cpu --threads 1 --out " + in("imagenet"))
                .code,
            0);
  for (const std::string& net : {std::string("--net resnet18_locator --init ") + in("imagenet/best.safetensors"),
                                 std::string("--bayar --webp 1")}) {
    const std::string out = net.find("bayar") == net.npos ? "resnet" : "bayar";
    const Outcome trained = run(train(out, net + " --epochs 1"));
    ASSERT_EQ(trained.code, 0) << trained.err;
    EXPECT_EQ(out == "resnet", trained.err.find("these start anew: dec4.conv.weight") != std::string::npos)
        << trained.err;
    const Outcome on = run(
        train(out + "_on", net.substr(0, net.find("--init")) + " --epochs 1 --init " + in(out + "/best.safetensors")));
    EXPECT_EQ(on.code, 0) << on.err;
    EXPECT_EQ(on.err.find("start anew"), std::string::npos) << on.err;
    const Outcome measured = run("eval --data " + data() + " --weights " + in(out + "/best.safetensors") +
                                 " --device cpu --quiet --out " + in(out + "_report"));
    EXPECT_EQ(measured.code, 0) << measured.err;
  }
  const Outcome mixed = run(train("mixed", "--net locator --init " + in("imagenet/best.safetensors")));
  EXPECT_EQ(mixed.code, 1);
  EXPECT_NE(mixed.err.find("not the weights of a locator"), std::string::npos) << mixed.err;
}

TEST_F(Locate, PaintersAreHeldOutOfTrainingAndJudgedAlone) {
  ASSERT_EQ(run("synth --scenes 60 --size 32 --painter telea,noise,blur --split .6,.2,.2 --quiet --threads 1 --out " +
                in("painters"))
                .code,
            0);
  const std::string more = " --epochs 1 --data " + in("painters") + " --leave-out telea,noise ";
  const Outcome trained = run(train("held", more));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Outcome resumed = run(train("held", "--epochs 1 --resume --data " + in("painters")));
  EXPECT_EQ(resumed.code, 2) << "the dataset is another one with them";
  const std::string eval = "eval --split all --weights " + in("held/best.safetensors") +
                           " --device cpu --quiet --data " + in("painters") + " --out " + in("judged") + " --painters ";
  const Outcome measured = run(eval + "telea,noise");
  ASSERT_EQ(measured.code, 0) << measured.err;
  const auto painters = nlohmann::json::parse(content(in("judged/report.json"))).at("painters");
  ASSERT_EQ(painters.size(), 2u);
  const auto rows = table(content(in("painters/labels.csv")));
  for (const char* name : {"noise", "telea"}) {
    const auto painted = std::count_if(rows.begin(), rows.end(), [&](const auto& row) { return row.back() == name; });
    EXPECT_EQ(painters.at(name).at("fakes"), painted);
    EXPECT_NE(measured.out.find("| " + std::string(name)), std::string::npos) << measured.out;
  }
  const Outcome wrong = run(eval + "nobody");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("but by blur, noise, telea"), std::string::npos) << wrong.err;
}

TEST_F(Locate, MistakesEndInOneClearLine) {
  ASSERT_EQ(run(train("earlier", "--epochs 1")).code, 0);
  const struct {
    std::string arguments;
    int code;
    std::string says;
  } mistakes[] = {
      {train("x", "--window 64"), 2, "32 pixels"},
      {train("x", "--window 20"), 2, "multiple of 8"},
      {train("x", "--loss giou"), 2, "giou"},
      {train("x", "--loss-set gamma=1"), 2, "gamma"},
      {train("x", "--resident on"), 2, "anew each epoch"},
      {train("x", "--net resnet18"), 2, "resnet18"},
      {train("x", "--micro-batch 5"), 2, "does not divide"},
      {train("earlier", "--resume --width 4"), 2, "width"},
      {"train --task find --data " + data() + " --out " + in("x"), 2, "detect, inpaint or locate"},
      {"train --data " + data() + " --out " + in("x") + " --net resnet18 --width 0.125 --size 32 --device cpu --init " +
           in("earlier/best.safetensors"),
       1, "not the weights of a resnet18"},
  };
  for (const auto& mistake : mistakes) {
    const Outcome o = run(mistake.arguments + (mistake.says == "detect, inpaint or locate" ? "" : " --quiet"));
    EXPECT_EQ(o.code, mistake.code) << mistake.arguments << "\n" << o.err;
    EXPECT_EQ(o.err_lines(), 1) << mistake.arguments << "\n" << o.err;
    EXPECT_NE(o.err.find(mistake.says), std::string::npos) << mistake.arguments << "\n" << o.err;
  }
  EXPECT_FALSE(fs::exists(in("x"))) << "a refused command leaves nothing";
}

}  // namespace
}  // namespace telltale
