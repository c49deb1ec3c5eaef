// What the programs say and do about devices: falling back, checking one against another, finding the batch that fits.
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "kernels/device/stream.h"
#include "tests/engine/program_run.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class Devices : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fs::create_directories(dir());
    const Outcome o =
        run("synth --scenes 40 --size 32 --width 2 --weights random:1 --split .8,.1,.1 --quiet --out " + data());
    ASSERT_EQ(o.code, 0) << o.err;
  }
  static void TearDownTestSuite() { fs::remove_all(dir()); }
  static std::string dir() { return testing::TempDir() + "devices_" + std::to_string(getpid()); }
  static std::string data() { return dir() + "/data"; }
  static Outcome run(const std::string& line) { return Running(line, dir() + "/run").wait(); }
  static Outcome train(const std::string& more) {
    return run("train --data " + data() + " --out " + dir() + "/out --net resnet18 --width 0.125 --size 32 " + more);
  }
};

TEST_F(Devices, AutoFallsBackToTheCpuAndSaysWhy) {
  const std::string reason = cuda_unavailable_reason();
  if (reason.empty()) GTEST_SKIP() << "there is a GPU";
  const std::string parity = std::string("parity ") + TT_SOURCE_DIR + "/tests/golden/loss_mse.safetensors --device ";
  Outcome o = run(parity + "auto");
  EXPECT_EQ(o.code, 0);
  EXPECT_NE(o.err.find("no GPU: " + reason), std::string::npos) << o.err;
  o = run(parity + "cuda");
  EXPECT_EQ(o.code, 1);
  EXPECT_EQ(o.err_lines(), 1) << o.err;
  EXPECT_NE(o.err.find(reason), std::string::npos) << o.err;
}

TEST_F(Devices, TrainCheckComparesNodeByNodeAndWritesNothing) {
  const Outcome o = train("--check --device cpu");
  EXPECT_EQ(o.code, 0) << o.out << o.err;
  EXPECT_NE(o.out.find("tensors agree, node by node"), std::string::npos) << o.out;
  EXPECT_FALSE(fs::exists(dir() + "/out"));
}

/// How many tensors --check says it compared.
int compared(const Outcome& o) {
  EXPECT_EQ(o.code, 0) << o.out << o.err;
  return std::atoi(o.out.c_str());
}

/// It checks the very program that training runs: its precision, what is frozen, its initial weights in any form.
TEST_F(Devices, TrainCheckRunsWhatTrainingRuns) {
  const int all = compared(train("--check --device cpu"));
  EXPECT_LT(compared(train("--check --device cpu --freeze-backbone")), all / 2) << "frozen layers have no backward";
  EXPECT_GT(all, 0);
  compared(train("--check --device cpu --precision f16"));
  const Outcome tf32 = train("--check --device cpu --precision tf32");
  EXPECT_EQ(tf32.code, 2);
  EXPECT_NE(tf32.err.find("needs a CUDA device"), std::string::npos) << tf32.err;
  const std::string weights = dir() + "/init/best";
  Outcome o = run("train --data " + data() + " --out " + dir() +
                  "/init --net resnet18 --width 0.125 --size 32 --device cpu --epochs 1 --batch 16");
  ASSERT_EQ(o.code, 0) << o.err;
  o = run("convert " + weights + ".safetensors " + weights + ".pth");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(compared(train("--check --device cpu --init " + weights + ".pth")), all);
  EXPECT_EQ(train("--check --device cpu --init " + dir() + "/nothing.pth").code, 1);
}

TEST_F(Devices, BatchAutoTakesWhatFitsAndInferCheckUsesTheNetItTrained) {
  Outcome o = train("--batch auto --epochs 1 --device cpu");
  ASSERT_EQ(o.code, 0) << o.err;
  const auto config = nlohmann::json::parse(content(dir() + "/out/config.json"));
  const int train_images = config.at("dataset").at("train"), batch = config.at("recipe").at("batch");
  EXPECT_NE(o.err.find(cat("--batch auto: ", batch, " images a step")), std::string::npos) << o.err;
  EXPECT_LE(batch, train_images);
  EXPECT_GT(batch, train_images - 8) << "the whole split fits";
  o = run("infer --check --device cpu --weights " + dir() + "/out/best.safetensors " + data() + "/images");
  EXPECT_EQ(o.code, 0) << o.out << o.err;
  EXPECT_NE(o.out.find("tensors agree, node by node"), std::string::npos) << o.out;
  o = run("infer --check --device cpu --precision bf16 --weights " + dir() + "/out/best.safetensors " + data() +
          "/images");
  EXPECT_EQ(o.code, 0) << o.out << o.err;
  o = run("infer --check --device cpu --precision tf32 --weights " + dir() + "/out/best.safetensors " + data() +
          "/images");
  EXPECT_EQ(o.code, 2) << "tf32 is a GPU's";
}

}  // namespace
}  // namespace telltale
