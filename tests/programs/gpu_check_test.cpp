// tools/gpu_check without a GPU: every step is walked, and what fails stops nothing else.
#include <gtest/gtest.h>

#include <map>

#include "tests/engine/program_run.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class GpuCheck : public testing::Test {
 protected:
  GpuCheck() { fs::create_directories(dir_); }
  ~GpuCheck() override { fs::remove_all(dir_); }
  /// The exit code; out() then has what it said.
  int run(const std::string& arguments) const {
    const std::string command = std::string("PYTHON=/usr/bin/python3 ") + TT_SOURCE_DIR + "/tools/gpu_check --out " +
                                dir_ + "/out " + arguments + " >" + dir_ + "/said 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));
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
  script("tests/kernels_test", "echo broken; exit 1");
  script("tests/capture_test", "echo '[  PASSED  ] 3 tests.'; exit 0");
  script("bin/parity", "sleep 30");
  EXPECT_EQ(run("--dry-run --programs " + dir_ + "/fake --only kernels,parity,capture --seconds 8"), 1);
  const auto v = verdicts();
  EXPECT_EQ(v.at("kernels"), "FAILED");
  EXPECT_EQ(v.at("parity"), "FAILED") << "stopped in time";
  EXPECT_EQ(v.at("capture"), "skipped") << "no time was left";
  EXPECT_EQ(run("--dry-run --programs " + dir_ + "/fake --only kernels,capture"), 1);
  EXPECT_EQ(verdicts().at("capture"), "passed");
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
