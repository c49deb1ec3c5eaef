// mpirun -n N infer, eval, synth: work that ranks share gives the bytes of one process.
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/programs/together.h"

namespace telltale {
namespace {

class TogetherShared : public Together {
 protected:
  static void SetUpTestSuite() {
    Together::SetUpTestSuite();
    if (!ranks_missing().empty()) return;
    ASSERT_EQ(run(1, train("detector", "--epochs 1")).code, 0) << content(in("run.err"));
    ASSERT_EQ(run(1, cat("exec ", programs(), "/train --task locate --window 16 --width 8 --micro-batch 2 --data ",
                         in("data"), " --out ", in("locator"),
                         " --batch 8 --lr 0.01 --seed 5 --threads 1 --workers 1 --device cpu --epochs 1"))
                  .code,
              0)
        << content(in("run.err"));
    fs::create_directories(in("photos/sub"));
    for (int i = 0; i < 9; ++i) write_png(in(cat("photos/", i, ".png")), test_picture(40 + 17 * i, 150 - 9 * i, i));
    for (const char* broken : {"photos/3a.png", "photos/sub/8a.jpg"}) put(in(broken), "no picture");
    write_png(in("photos/sub/3.png"), test_picture(64, 64, 3));
  }
  /// The same line in a folder of its own, so that it is the same word for word.
  static std::string line(const std::string& folder, const std::string& command) {
    return cat("cd ", in(folder), "; exec ", programs(), "/", command, " --device cpu --threads 1 --quiet");
  }
  static Outcome run_in(const std::string& folder, int ranks, const std::string& command) {
    fs::remove_all(in(folder));
    fs::create_directories(in(folder));
    return run(ranks, line(folder, command));
  }
  static std::string without_times(const std::string& text) {
    static const std::regex times(
        R"re("ms":[0-9.e+-]+|"seconds": ?[0-9.e+-]+|"images_per_second": ?[0-9.e+-]+|images a second[^0-9]*[0-9.e+-]+)re");
    return std::regex_replace(text, times, "");
  }
  /// What a folder holds, but for times.
  static std::map<std::string, std::string> timeless(const std::string& folder) {
    std::map<std::string, std::string> files = tree(in(folder));
    for (auto& [name, bytes] : files)
      if (!name.ends_with(".png") && !name.ends_with(".jpg")) bytes = without_times(bytes);
    return files;
  }
  static void expect_the_same(const std::string& command, int code, const std::string& program, size_t files = 2) {
    const Outcome alone = run_in("one", 1, command);
    ASSERT_EQ(alone.code, code) << alone.err;
    const auto one = timeless("one");
    EXPECT_GE(one.size(), files);
    for (const int ranks : {2, 4}) {
      const Outcome together = run_in("several", ranks, command);
      EXPECT_EQ(together.code, code) << together.err;
      // Each warning once; which comes first is chance.
      std::vector<std::string> expected = said(alone.err, program), heard = said(together.err, program);
      for (auto* lines : {&expected, &heard}) std::sort(lines->begin(), lines->end());
      EXPECT_EQ(expected, heard);
      EXPECT_EQ(without_times(alone.out), without_times(together.out));
      const auto several = timeless("several");
      for (const auto& [name, bytes] : one) {
        ASSERT_TRUE(several.contains(name)) << name;
        EXPECT_TRUE(several.at(name) == bytes) << name << " differs with " << ranks << " ranks";
      }
      EXPECT_EQ(several.size(), one.size());
    }
  }
};

TEST_F(TogetherShared, InferWithALocator) {
  expect_the_same(
      "infer ../photos ../none.png --weights ../locator/best.safetensors --json lines.jsonl --masks masks "
      "--annotate drawn --report page.html",
      1, "infer");
}

TEST_F(TogetherShared, InferWithADetector) {
  expect_the_same(
      "infer ../photos ../none.png ../data/images --weights ../detector/best.safetensors --batch 3 --json "
      "lines.jsonl --threshold 0.2 --explain --masks masks --annotate drawn --report page.html",
      1, "infer");
}

TEST_F(TogetherShared, Eval) {
  expect_the_same(
      "eval --data ../data --split all --weights ../detector/best.safetensors --batch 4 --out out "
      "--report page.html --robustness --robustness-images 6",
      0, "eval");
  expect_the_same(
      "eval --data ../data --split train --weights ../locator/best.safetensors --out out --report page.html", 0,
      "eval");
}

TEST_F(TogetherShared, EvalOfFillsAndCalibration) {
  // Pictures of a dataset as if others had painted them; one cannot be read, and one's mask does not fit.
  std::string fills = "id\tgenerator\toriginal\n", cameras = "id\n";
  for (const char* folder : {"fake", "real", "mask", "camera"}) fs::create_directories(in(cat("fills/", folder)));
  for (int i = 0; i < 7; ++i) {
    const std::string id = cat(i);
    write_jpeg(in("fills/fake/" + id + ".jpg"), test_picture(60 + 9 * i, 70, i), 95);
    write_jpeg(in("fills/real/" + id + ".jpg"), test_picture(60 + 9 * i, 70, 20 + i), 95);
    Grey mask(60 + 9 * i, i == 5 ? 50 : 70);
    std::fill_n(mask.pixels.begin(), mask.pixels.size() / 3, uint8_t(255));
    write_png(in("fills/mask/" + id + ".png"), mask);
    write_jpeg(in("fills/camera/c" + id + ".jpg"), test_picture(80, 50 + 8 * i, 40 + i), 95);
    fills += id + (i % 2 ? "\tone\tyes\n" : "\ttwo\tno\n");
    cameras += "c" + id + "\n";
  }
  put(in("fills/fake/3.jpg"), "no picture");
  put(in("fills/fills.tsv"), fills);
  put(in("fills/camera.tsv"), cameras);
  expect_the_same("eval --fills ../fills --weights ../locator/best.safetensors --out out", 1, "eval", 1);
  ASSERT_EQ(
      run(1, line("data", "synth --scenes 80 --size 32 --width 2 --weights random:1 --split 0,0,1 --out ../judged"))
          .code,
      0)
      << content(in("run.err"));
  expect_the_same(
      "eval --data ../judged --split test --weights ../locator/best.safetensors --calibrate calibrated.safetensors", 0,
      "eval", 1);
}

TEST_F(TogetherShared, Synth) {
  // A photograph that cannot be used costs itself alone, and images that need no generator are shared, too.
  expect_the_same(
      "synth --photos ../photos --out set --weights random:7 --width 8 --size 32 --batch 2 "
      "--painter deepfill,telea --split .8,.1,.1",
      1, "synth");
}

TEST_F(TogetherShared, SynthGoesOnWhereAKillStoppedIt) {
  const std::string command =
      "synth --scenes 40 --out set --weights random:7 --width 16 --size 32 --batch 2 --split .8,.1,.1";
  ASSERT_EQ(run_in("one", 1, command).code, 0) << content(in("run.err"));
  fs::create_directories(in("several"));
  fs::remove_all(in("several/set"));
  const auto running = start(2, line("several", command));
  running->wait_for([&] { return content(in("several/set/psnr-2-of-2.csv")).size() > 60; });
  ::kill(pid_of(1), SIGKILL);
  EXPECT_NE(running->wait().code, 0);
  EXPECT_FALSE(fs::exists(in("several/set/labels.csv")));
  const Outcome again = run(2, line("several", command));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(tree(in("one/set")) == tree(in("several/set")));
}

TEST_F(TogetherShared, WhatGoesWrongIsSaidOnce) {
  const std::string look = "infer ../photos --weights ../locator/best.safetensors ";
  const struct {
    std::string command, says;
    int code;
  } mistakes[] = {{look + "--json /dev/full", "/dev/full", 1},
                  {look + "--check", "--check runs in one process, and 3 were started", 2},
                  {look + "--masks ../photos", "is the folder of the photographs", 2},
                  {"synth --photos ../photos --out set --shard 1/2", "which shard by themselves", 2}};
  for (const auto& mistake : mistakes) {
    const Outcome o = run_in("several", 3, mistake.command);
    EXPECT_EQ(o.code, mistake.code) << o.err;
    const auto lines = said(o.err, mistake.command.substr(0, 5));
    std::string last = lines.empty() ? o.err : lines.back();
    EXPECT_NE(last.find(mistake.says), std::string::npos) << o.err;
    EXPECT_EQ(o.err.find("rank 1:"), std::string::npos) << o.err;
  }
}

TEST_F(TogetherShared, WhoStandsStillIsNamed) {
  fs::create_directories(in("several"));
  std::string many;
  for (int i = 0; i < 60; ++i) many += " ../photos";
  const auto running = start(
      2, line("several", "infer" + many + " --weights ../locator/best.safetensors --json lines " + "--rank-timeout 2"));
  running->wait_for([&] { return fs::exists(in("pid1")) && !content(in("pid1")).empty(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  ::kill(pid_of(1), SIGSTOP);
  const Outcome o = running->wait();
  EXPECT_NE(o.code, 0);
  EXPECT_NE(o.err.find("rank 1 does not answer: ending all"), std::string::npos) << o.err;
}

}  // namespace
}  // namespace telltale
