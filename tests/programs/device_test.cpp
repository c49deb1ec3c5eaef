// What the programs say and do about devices: falling back, checking one against another, finding the batch that fits.
#include <nlohmann/json.hpp>

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

TEST_F(Devices, BatchAutoTakesWhatFitsAndInferCheckUsesTheNetItTrained) {
  Outcome o = train("--batch auto --epochs 1 --device cpu");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.err.find("--batch auto: 32 images a step"), std::string::npos) << o.err;  // the whole split fits
  EXPECT_EQ(nlohmann::json::parse(content(dir() + "/out/config.json")).at("recipe").at("batch"), 32);
  o = run("infer --check --device cpu --weights " + dir() + "/out/best.safetensors " + data() + "/images");
  EXPECT_EQ(o.code, 0) << o.out << o.err;
  EXPECT_NE(o.out.find("tensors agree, node by node"), std::string::npos) << o.out;
}

}  // namespace
}  // namespace telltale
