// tools/gpu_check without a GPU: every step is walked, and what fails stops nothing else.
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <vector>

#include "data/codec.h"
#include "data/scenes.h"
#include "tests/engine/program_run.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class GpuCheck : public testing::Test {
 protected:
  GpuCheck() { fs::create_directories(dir_); }
  ~GpuCheck() override { fs::remove_all(dir_); }
  /// The exit code; out() then has what it said.
  int run(const std::string& arguments, const std::string& before = "") const {
    const std::string command = before + "PYTHON=/usr/bin/python3 " + TT_SOURCE_DIR + "/tools/gpu_check --out " + dir_ +
                                "/out " + arguments + " >" + dir_ + "/said 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));
  }
  /// The same by a clock that stands still but for what programs say they take.
  int run_by_clock(const std::string& arguments) const {
    std::ofstream(dir_ + "/clock") << 1000 << "\n";
    return run(arguments, "TT_CLOCK=" + dir_ + "/clock ");
  }
  /// A shell command that lists an op each as a test program on a GPU and on emulated device bodies does.
  static std::string listed(const std::vector<std::string>& ops) {
    std::string lines = "All/Kernel.\\n";
    for (const std::string& op : ops)
      for (const std::string on : {"cuda", "emulated"})
        lines += "  MatchesReference/" + op + "_f32_" + on + "_0  # GetParam() = " + op + " [2] f32 on " + on + "\\n";
    return "printf '" + lines + "'";
  }
  std::string said() const { return content(dir_ + "/said"); }
  /// Part → verdict, from summary.tsv.
  std::map<std::string, std::string> verdicts() const {
    std::ifstream file(dir_ + "/out/summary.tsv");
    std::map<std::string, std::string> v;
    std::string line, part, verdict;
    std::getline(file, line);
    while (std::getline(file, line)) {
      std::istringstream fields(line);
      std::getline(std::getline(fields, part, '\t'), verdict, '\t');
      v[part] = verdict;
    }
    return v;
  }
  /// What the table says beside a part's verdict.
  std::string note(const std::string& part) const {
    std::ifstream file(dir_ + "/out/summary.tsv");
    std::string line;
    while (std::getline(file, line))
      if (line.starts_with(part + "\t")) return line.substr(line.rfind('\t') + 1);
    return "";
  }
  void script(const std::string& name, const std::string& body) const {
    const std::string path = dir_ + "/fake/" + name;
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    fs::permissions(path, fs::perms::owner_all);
  }
  const std::string dir_ = testing::TempDir() + "gpu_check_" + std::to_string(getpid());
};

TEST_F(GpuCheck, DryRunWalksEveryStep) {
  EXPECT_EQ(run(std::string("--dry-run --programs ") + TT_BIN_DIR + "/.."), 0) << said();
  const auto v = verdicts();
  EXPECT_EQ(v.size(), 12u) << said();
  for (const auto& [part, verdict] : v) EXPECT_NE(verdict, "FAILED") << part << "\n" << said();
  for (const char* part : {"parity", "field", "loss"}) EXPECT_EQ(v.at(part), "passed") << part << "\n" << said();
  for (const char* part : {"memcheck", "racecheck"}) EXPECT_EQ(v.at(part), "skipped") << part;
  EXPECT_NE(said().find("DRY RUN"), std::string::npos);
  EXPECT_NE(content(dir_ + "/out/figures.json").find("\"loss\""), std::string::npos);
}

TEST_F(GpuCheck, AFailingPartStopsNoOther) {
  script("tests/kernels_test", "case $* in *list*) " + listed({"concat"}) + ";; *) echo broken; exit 1;; esac");
  script("tests/capture_test", "echo '[  PASSED  ] 3 tests.'; exit 0");
  script("bin/parity", "sleep 30");
  EXPECT_EQ(run("--dry-run --programs " + dir_ + "/fake --only kernels,parity,capture"), 1);
  EXPECT_EQ(verdicts().at("kernels"), "FAILED");
  EXPECT_EQ(verdicts().at("capture"), "passed");
  EXPECT_NE(note("kernels").find("concat (exit code 1)"), std::string::npos) << said();
}

/// A clock that programs move on by what they take: `seconds` pass in what this stands before.
std::string takes(int seconds) { return "echo $(($(cat $TT_CLOCK) + " + std::to_string(seconds) + ")) >$TT_CLOCK; "; }

TEST_F(GpuCheck, WhatFoundNoTimeIsCoveredByTheNextCalls) {
  const std::string calls = dir_ + "/calls";
  script("tests/kernels_test", "case $* in *list*) " + listed({"concat", "reduce", "linear_forward"}) + ";; *) " +
                                   takes(50) + "echo $* >>" + calls + ";; esac");
  const std::string line = "--dry-run --programs " + dir_ + "/fake --only kernels --seconds 100";
  EXPECT_EQ(run_by_clock(line), 0) << said();
  EXPECT_EQ(verdicts().at("kernels"), "partial") << "80 s are left beside the reserve, and an op takes 50";
  EXPECT_NE(note("kernels").find("1 of 3 ops"), std::string::npos) << said();
  EXPECT_EQ(run_by_clock(line + " --resume"), 0) << said();
  EXPECT_NE(note("kernels").find("2 of 3 ops"), std::string::npos) << said();
  EXPECT_EQ(run_by_clock(line + " --resume"), 0) << said();
  EXPECT_EQ(verdicts().at("kernels"), "passed") << said();
  const std::string all = content(calls);
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 5) << "what passed is not run again:\n" << all;
  EXPECT_EQ(run_by_clock(line + " --resume"), 0);
  EXPECT_EQ(content(calls), all) << "everything has passed";
  EXPECT_EQ(run_by_clock(line), 0);
  EXPECT_EQ(verdicts().at("kernels"), "partial") << "without --resume it begins anew";
}

TEST_F(GpuCheck, TimeRunningOutIsNoFailureButHangingIs) {
  script("tests/kernels_test", "case $* in *list*) " + listed({"concat"}) + ";; *) " + takes(130) + ";; esac");
  const std::string line = "--dry-run --programs " + dir_ + "/fake --only kernels";
  EXPECT_EQ(run_by_clock(line + " --seconds 100"), 0) << said();
  EXPECT_EQ(verdicts().at("kernels"), "partial");
  EXPECT_EQ(run_by_clock(line + " --seconds 500"), 1) << said();
  EXPECT_EQ(verdicts().at("kernels"), "FAILED");
  EXPECT_NE(note("kernels").find("concat (not done after 120 s)"), std::string::npos) << said();
}

TEST_F(GpuCheck, APartWhoseTurnDoesNotComeWaits) {
  script("tests/kernels_test", "case $* in *list*) " + listed({"concat"}) + ";; *) " + takes(75) + ";; esac");
  script("tests/capture_test", takes(1));
  const std::string line = "--dry-run --programs " + dir_ + "/fake --only kernels,capture --seconds 100";
  EXPECT_EQ(run_by_clock(line), 0) << said();
  EXPECT_EQ(verdicts().at("kernels"), "passed");
  EXPECT_EQ(verdicts().at("capture"), "waits");
  EXPECT_NE(said().find("call again with --resume"), std::string::npos);
  EXPECT_EQ(run_by_clock(line + " --resume"), 0) << said();
  EXPECT_EQ(verdicts().at("kernels"), "passed") << "the first call's verdict stays in the table";
  EXPECT_EQ(verdicts().at("capture"), "passed");
}

/// Every part on the fake GPU. A program takes 20 s by the clock, so that three calls of 140 s are needed: what has
/// passed is not run again, and the ledger is there after the first.
TEST_F(GpuCheck, ThreeCallsOnTheFakeGpuCoverEveryPart) {
  const std::string real = std::string(TT_BIN_DIR) + "/../fake";
  if (!fs::exists(real + "/lib")) GTEST_SKIP() << "no fake GPU: CUDA's headers were not here";
  for (const std::string folder : {"bin", "tests"})
    for (const auto& entry : fs::directory_iterator(real + "/" + folder))
      if (entry.path().extension() != ".so")
        script(folder + "/" + entry.path().filename().string(),
               takes(20) + "exec " + fs::canonical(entry.path()).string() + " \"$@\"");
  fs::create_directory_symlink(fs::canonical(real + "/lib"), dir_ + "/fake/lib");
  const std::string line = "--dry-run --seconds 140 --programs " + dir_ + "/fake";
  const auto expect = [&](const std::string& verdict, const std::vector<std::string>& parts) {
    const auto v = verdicts();
    for (const std::string& part : parts) EXPECT_EQ(v.at(part), verdict) << part << "\n" << said();
  };
  ASSERT_EQ(run_by_clock(line), 0) << said();
  expect("passed", {"kernels", "capture", "parity"});
  expect("partial", {"field"});
  expect("waits", {"tests", "loss", "kernel_speed", "net_speed"});
  const std::string ledger = content(dir_ + "/out/dry_ledger.tsv");
  EXPECT_NE(ledger.find("column_sums\treduce\t"), std::string::npos) << ledger;
  EXPECT_NE(ledger.find("\tFake GPU\t"), std::string::npos) << ledger;
  ASSERT_EQ(run_by_clock(line + " --resume"), 0) << said();
  expect("passed", {"kernels", "field", "tests"});
  expect("partial", {"loss"});
  expect("waits", {"kernel_speed", "net_speed"});
  ASSERT_EQ(run_by_clock(line + " --resume"), 0) << said();
  expect("passed", {"kernels", "capture", "parity", "field", "tests", "loss", "kernel_speed", "net_speed"});
  expect("skipped", {"memcheck", "racecheck"});
  for (const auto& [part, verdict] : verdicts())  // a card to describe and torch need not be here
    EXPECT_TRUE(verdict == "passed" || verdict == "skipped") << part << ": " << verdict << "\n" << said();
  EXPECT_EQ(said().find("call again"), std::string::npos) << said();
  EXPECT_EQ(content(dir_ + "/out/dry_ledger.tsv"), ledger) << "no op was run again";
  fs::create_directory(dir_ + "/photos");
  for (int i = 0; i < 12; ++i) {
    const std::string name = "/" + std::to_string(i) + ".png";
    write_png(dir_ + "/photos" + name, draw_scene(64, uint64_t(i)));
  }
  ASSERT_EQ(run_by_clock(line + " --only experiment --photos " + dir_ + "/photos"), 0) << said();
  expect("passed", {"experiment", "kernels"});
}

TEST_F(GpuCheck, AnOpThatBreaksTakesNoOtherWithIt) {
  script("tests/kernels_test", "case $* in *list*) " + listed({"concat", "reduce", "linear_forward"}) +
                                   ";; *reduce*) kill -SEGV $$;; *) echo $* >>$TT_GPU_LEDGER;; esac");
  EXPECT_EQ(run("--dry-run --programs " + dir_ + "/fake --only kernels"), 1);
  EXPECT_NE(note("kernels").find("2 of 3 ops; failed: reduce"), std::string::npos) << said();
  const std::string ledger = content(dir_ + "/out/dry_ledger.tsv");
  EXPECT_NE(ledger.find("concat"), std::string::npos) << "written after each op";
  EXPECT_NE(ledger.find("linear_forward"), std::string::npos);
}

/// Steps that round differently drift apart as another seed's do: how far that is, the second run says.
TEST_F(GpuCheck, TheGapOfTwoPrecisionsIsJudgedByThatOfTwoSeeds) {
  const auto metrics = [&](const std::string& name, double loss) {
    std::ofstream file(dir_ + "/" + name);
    for (int step = 0; step < 8; ++step) file << "{\"loss\": " << loss << "}\n";
  };
  metrics("f32", 1);
  metrics("second", 0.97);
  metrics("bf16", 1.05);
  metrics("wrong", 1.08);
  const auto gap = [&](const std::string& arguments) {
    const std::string line =
        "cd " + dir_ + " && /usr/bin/python3 " TT_SOURCE_DIR "/bench/loss_gap.py " + arguments + " >said";
    return WEXITSTATUS(std::system(line.c_str()));
  };
  EXPECT_EQ(gap("f32 bf16"), 1) << "5 % are more than 2 %";
  EXPECT_EQ(gap("f32 bf16 --spread second"), 0) << said();
  EXPECT_EQ(gap("f32 wrong --spread second"), 1) << said();
  EXPECT_NE(content(TT_SOURCE_DIR "/tools/scripts/gpu_parts.sh").find("--spread \"$out/loss/second"),
            std::string::npos);
}

TEST_F(GpuCheck, SharesAddUpToTenMinutesACallAndThreeCalls) {
  ASSERT_EQ(run("--list"), 0);
  std::istringstream lines(said());
  std::map<std::string, int> calls;
  std::string call, number, part, unit, rest;
  for (int seconds = 0; lines >> call >> number >> part >> seconds >> unit && std::getline(lines, rest);)
    calls[number] += seconds;
  EXPECT_GE(calls.size(), 3u) << said();
  EXPECT_LE(calls.size(), 4u) << "three, and what is asked for by name";
  for (const auto& [of, seconds] : calls) EXPECT_LE(seconds, 570) << "call " << of;
}

TEST_F(GpuCheck, APackHoldsWhatFitsAndRunsWhereItIsUnpacked) {
  const std::string fake = dir_ + "/fake", pack = dir_ + "/pack";
  const std::string programs =
      "bash -c 'source tools/scripts/gpu_programs.sh; mkdir -p \"$0\"/bin \"$0\"/tests; "
      "for p in ${gpu_programs[@]}; do cp /bin/true \"$0\"/bin/$p; done; "
      "for t in ${gpu_tests[@]}; do cp /bin/true \"$0\"/tests/$t; done' ";
  ASSERT_EQ(std::system(("cd " TT_SOURCE_DIR " && " + programs + fake).c_str()), 0);
  std::string photos;
  for (const char* name : {"a", "b", "c"}) {
    photos += " " + dir_ + "/" + name + ".jpg";
    std::ofstream(dir_ + "/" + name + ".jpg") << std::string(400'000, '.');
  }
  const std::string line = "--pack " + pack + " --build " + fake + photos;
  EXPECT_EQ(run(line + " --limit 0"), 1) << "not even the programs fit";
  EXPECT_FALSE(fs::exists(pack + "/pack.tar"));
  ASSERT_EQ(run(line + " --limit 1"), 0) << said();
  EXPECT_NE(said().find("2 of 3 photographs"), std::string::npos) << said();
  EXPECT_LE(fs::file_size(pack + "/pack.tar"), 1u << 20);
  EXPECT_EQ(run("--dry-run --programs " + pack + "/pack.tar --only tests,capture"), 0) << said();
  for (const char* part : {"tests", "capture"}) EXPECT_EQ(verdicts().at(part), "passed") << part << "\n" << said();
}

TEST_F(GpuCheck, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(run("--only kernals"), 2);
  EXPECT_NE(said().find("no part is called kernals"), std::string::npos);
  EXPECT_EQ(run("--fast"), 2);
}

}  // namespace
}  // namespace telltale
