// The programs with --device cuda on a GPU that is not there (tests/fake_gpu/device.h): what they give is what the host
// gives, and what a GPU refuses, breaks or has no memory for ends as it should.
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "tests/engine/program_run.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class FakeGpu : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!fs::exists(std::string(TT_BIN_DIR) + "/../fake/lib")) return;
    fs::create_directories(dir());
    const Outcome o =
        run("synth --scenes 40 --size 32 --width 2 --weights random:1 --split .8,.1,.1 --quiet --out " + data());
    ASSERT_EQ(o.code, 0) << o.err;
    const Outcome t = run(training("host", "cpu"));
    ASSERT_EQ(t.code, 0) << t.err;
  }
  void SetUp() override {
    if (!fs::exists(std::string(TT_BIN_DIR) + "/../fake/lib"))
      GTEST_SKIP() << "no fake GPU: CUDA's headers were not here";
  }
  static void TearDownTestSuite() { fs::remove_all(dir()); }
  static std::string dir() { return testing::TempDir() + "fake_gpu_" + std::to_string(getpid()); }
  static std::string data() { return dir() + "/data"; }
  static std::string path(const std::string& name) { return dir() + "/" + name; }
  static Outcome run(const std::string& line) { return Running(line, path("run")).wait(); }
  /// On a GPU as `setting` says, which has chosen nothing yet.
  static Outcome run_on_gpu(const std::string& line, const std::string& setting = "") {
    static int calls = 0;
    return Running("../fake/bin/" + line, path("run"),
                   "export OMP_WAIT_POLICY=passive TT_FAKE_GPU=" + setting +
                       " XDG_CACHE_HOME=" + path("cache" + std::to_string(++calls)) + ";")
        .wait();
  }
  static std::string training(const std::string& out, const std::string& device, const std::string& more = "") {
    return "train --data " + data() + " --out " + path(out) +
           " --net resnet18 --width 0.125 --size 32 --batch 8 --epochs 1 --seed 3 --device " + device + " " + more;
  }
  /// The last row of results.csv by column.
  static std::map<std::string, double> results(const std::string& run) {
    std::istringstream lines(content(path(run) + "/results.csv"));
    std::string header, row, line, name, value;
    std::getline(lines, header);
    while (std::getline(lines, line)) row = line;
    std::map<std::string, double> all;
    for (std::istringstream h(header), r(row); std::getline(h, name, ',') && std::getline(r, value, ',');)
      all[name] = std::atof(value.c_str());
    return all;
  }
  static void expect_like_the_host(const std::string& run, double share) {
    for (const char* name : {"train_loss", "val_loss"}) {
      const double host = results("host").at(name);
      EXPECT_GT(host, 0) << name;
      EXPECT_NEAR(results(run).at(name), host, share * host) << run << " " << name;
    }
  }
};

TEST_F(FakeGpu, TrainingGivesWhatTheHostGives) {
  for (const std::string order : {"late"}) {
    const Outcome o = run_on_gpu(training(order, "cuda"), "order=" + order);
    ASSERT_EQ(o.code, 0) << order << ": " << o.err;
    EXPECT_EQ(o.err.find("kernel by kernel"), std::string::npos) << "a step is a graph: " << o.err;
    expect_like_the_host(order, 2e-3);
  }
}

TEST_F(FakeGpu, NodeByNodeBothDevicesAgree) {
  for (const std::string precision : {"f32"}) {
    const Outcome o = run_on_gpu(training("check", "cuda", "--check --precision " + precision));
    EXPECT_EQ(o.code, 0) << precision << ": " << o.out << o.err;
    EXPECT_NE(o.out.find("agree, node by node, on Fake GPU (cuda:0)"), std::string::npos) << o.out;
  }
}

TEST_F(FakeGpu, VerdictsAreThoseOfTheHost) {
  const std::string infer =
      "infer --weights " + path("host/best.safetensors") + " --quiet " + data() + "/images --device ";
  const Outcome host = run(infer + "cpu"), gpu = run_on_gpu(infer + "cuda");
  ASSERT_EQ(gpu.code, 0) << gpu.err;
  std::istringstream a(host.out), b(gpu.out);
  int seen = 0;
  for (std::string x, y; std::getline(a, x) && std::getline(b, y); ++seen)
    EXPECT_NEAR(nlohmann::json::parse(x).at("fake_probability").get<double>(),
                nlohmann::json::parse(y).at("fake_probability").get<double>(), 1e-4)
        << x;
  EXPECT_EQ(seen, 40);
}

TEST_F(FakeGpu, AnEngineThatCannotBeRecordedIsNotChosen) {
  const Outcome o = run_on_gpu(training("unrecordable", "cuda"), "unrecordable=0,slow=1");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.err.find("kernel by kernel"), std::string::npos) << o.err;
  expect_like_the_host("unrecordable", 2e-3);
}

TEST_F(FakeGpu, WhatBreaksTheDeviceIsNamed) {
  const Outcome o = run_on_gpu(training("fault", "cuda", "--quiet"), "fault=all");
  EXPECT_EQ(o.code, 1) << o.err;
  EXPECT_NE(o.err.find("illegal memory access"), std::string::npos) << o.err;
}

TEST_F(FakeGpu, TooLittleMemorySaysWhatWouldFit) {
  const Outcome o = run_on_gpu(training("small", "cuda", "--micro-batch 8"), "memory=2");
  EXPECT_EQ(o.code, 1) << o.err;
  EXPECT_NE(o.err.find("not even one image fits"), std::string::npos) << o.err;
}

}  // namespace
}  // namespace telltale
