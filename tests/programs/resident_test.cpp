// train --resident: images that stay where the net runs give the same bits as images sent anew each epoch.
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "tests/devices.h"
#include "tests/engine/program_run.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class Resident : public OnDevice {
 protected:
  static void SetUpTestSuite() {
    fs::create_directories(dir());
    const Outcome o =
        run("synth --scenes 60 --size 32 --width 2 --weights random:1 --split .8,.1,.1 --quiet --out " + data());
    ASSERT_EQ(o.code, 0) << o.err;
  }
  static void TearDownTestSuite() { fs::remove_all(dir()); }
  static std::string dir() { return testing::TempDir() + "resident_" + std::to_string(getpid()); }
  static std::string data() { return dir() + "/data"; }
  static Outcome run(const std::string& line) { return Running(line, dir() + "/run").wait(); }
  /// Of 48 images a step takes 20, 20 and 5, and 3 are only looked at; six steps or more in passes of 5.
  static std::string train(const std::string& out, const std::string& more) {
    return "train --data " + data() + " --out " + dir() + "/" + out +
           " --net resnet18 --width 0.125 --size 32 --limit 48 --batch 20 --micro-batch 5 --epochs 2 --seed 5 "
           "--threads 1"
           " --checkpoint-minutes 0 --device " +
           GetParam() + " " + more;
  }
  static Outcome trained(const std::string& out, const std::string& more) {
    const Outcome o = run(train(out, more));
    EXPECT_EQ(o.code, 0) << o.err;
    return o;
  }
  /// Ends a run after some steps as a power cut would.
  static void kill_after(const std::string& out, const std::string& more, int steps) {
    Running running(train(out, more), dir() + "/run");
    running.wait_for([&] {
      const std::string log = content(dir() + "/" + out + "/metrics.jsonl");
      return std::count(log.begin(), log.end(), '\n') >= steps;
    });
    running.signal(SIGKILL);
    running.wait();
  }
  /// Weights and Adam's moments, the best weights, the table of epochs.
  static void expect_same(const std::string& a, const std::string& b) {
    for (const std::string file : {"/last.safetensors", "/best.safetensors", "/results.csv"}) {
      const std::string one = content(dir() + "/" + a + file);
      EXPECT_FALSE(one.empty()) << a << file;
      EXPECT_TRUE(one == content(dir() + "/" + b + file)) << b << file << " differs";
    }
  }
};

TEST_P(Resident, ImagesChangeNoBit) {
  trained("warm", "--epochs 1");  // on a GPU plans are timed once, then kept
  const Outcome off = trained("off", "--resident off"), on = trained("on", "--resident on");
  EXPECT_EQ(off.err.find("on the device"), std::string::npos) << off.err;
  const int images = nlohmann::json::parse(content(dir() + "/on/config.json")).at("dataset").at("train");
  EXPECT_NE(on.err.find(cat(images, " training images of 32 × 32 pixels stay on the device, 0.1 MB")),
            std::string::npos)
      << on.err;
  expect_same("off", "on");
  for (const int steps : {1, 5}) {  // within the first epoch, and within the second
    const std::string killed = "killed" + std::to_string(steps);
    kill_after(killed, "--resident on", steps);
    trained(killed, "--resident on --resume");
    expect_same("off", killed);
  }
}

TEST_P(Resident, AutoKeepsThemOnAGpuAndLeavesThemToTheCacheOnTheHost) {
  const Outcome o = trained("auto", "--epochs 5");  // long enough for steps to be recorded and replayed
  EXPECT_EQ(o.err.find("stay on the device") != std::string::npos, GetParam() == "cuda") << o.err;
  trained("auto_off", "--epochs 5 --resident off --cache-mb 64");
  expect_same("auto_off", "auto");
}

TEST_P(Resident, AnUnknownWordIsRefused) {
  const Outcome o = run(train("word", "--resident sometimes"));
  EXPECT_EQ(o.code, 2);
  EXPECT_FALSE(fs::exists(dir() + "/word"));
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Resident, testing::Values("cpu", "cuda"), device_label);

}  // namespace
}  // namespace telltale
