#pragma once
// Programs that mpirun starts several of, on a small dataset.
#include "base/check.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"

namespace telltale {

namespace fs = std::filesystem;

/// Why several processes cannot be tested here; empty where they can.
inline std::string ranks_missing() {
  if (std::system("mpirun --version >/dev/null 2>&1") != 0) return "there is no mpirun (tools/setup --with-mpi)";
  if (!fs::exists(programs() + "/libtelltale_mpi.so")) return "this build has no MPI (tools/setup --with-mpi)";
  return "";
}

class Together : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!ranks_missing().empty()) return;
    dir_ = std::make_unique<Folder>();
    const Outcome o =
        Running("synth --scenes 60 --size 32 --width 2 --weights random:1 --split .8,.1,.1 --quiet --out " + in("data"),
                in("synth"))
            .wait();
    ASSERT_EQ(o.code, 0) << o.err;
  }
  static void TearDownTestSuite() { dir_.reset(); }
  void SetUp() override {
    if (const std::string reason = ranks_missing(); !reason.empty()) GTEST_SKIP() << reason;
  }
  static std::string in(const std::string& name) { return *dir_ / name; }

  /// A line for sh, that every rank runs.
  static std::unique_ptr<Running> start(int ranks, const std::string& line) {
    const std::string root = getuid() == 0 ? " --allow-run-as-root" : "";
    return std::make_unique<Running>(
        "", in("run"),
        cat("export OMP_NUM_THREADS=1 OMPI_MCA_odls_base_sigkill_timeout=0; exec mpirun --oversubscribe --bind-to "
            "none",
            root, " -n ", ranks, " sh -c 'echo $$ >", in("pid"), "$OMPI_COMM_WORLD_RANK; ", line, "';"));
  }
  static Outcome run(int ranks, const std::string& line) {
    fs::remove(in("run.err"));
    return ranks == 1 ? Running("", in("run"), "export OMP_NUM_THREADS=1; " + line + ";").wait()
                      : start(ranks, line)->wait();
  }
  /// Steps of 8 images in passes of 2, and a tail.
  static std::string train(const std::string& out, const std::string& more = "") {
    return cat("exec ", programs(), "/train --data ", in("data"), " --out ", in(out),
               " --net alexnet --width 0.125 --size 64 --batch 8 --micro-batch 2 --lr 0.001 --alpha 1 --beta 1 "
               "--box-unit normalised --device cpu --threads 1 --workers 1 --seed 3 --epochs 2 ",
               more);
  }
  static size_t steps(const std::string& out) {
    const std::string log = content(in(out) + "/metrics.jsonl");
    return size_t(std::count(log.begin(), log.end(), '\n'));
  }
  static pid_t pid_of(int rank) { return pid_t(std::stol(content(in("pid") + std::to_string(rank)))); }
  static void expect_same_run(const std::string& a, const std::string& b) {
    for (const char* file : {"/last.safetensors", "/best.safetensors", "/results.csv"}) {
      EXPECT_FALSE(content(in(a) + file).empty()) << file;
      EXPECT_TRUE(content(in(a) + file) == content(in(b) + file)) << b << file << " differs";
    }
    EXPECT_EQ(steps(a), steps(b));
  }
  /// What a program said, without mpirun's own words.
  static std::vector<std::string> said(const std::string& text, const std::string& program = "train") {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
      if (line.starts_with(program + ": ")) lines.push_back(line);
    return lines;
  }
  inline static std::unique_ptr<Folder> dir_;
};

}  // namespace telltale
