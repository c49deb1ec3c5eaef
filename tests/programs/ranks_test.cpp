// mpirun -n N train: the bytes of one process, whoever is interrupted, killed or stands still meanwhile.
#include <cmath>

#include "base/check.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

/// Why several processes cannot be tested here; empty where they can.
std::string ranks_missing() {
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

  /// A command that ranks run: "train …", or with `shell` a line for sh in which TRAIN stands for the program.
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
  /// What `train` said, without mpirun's own words.
  static std::vector<std::string> said(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
      if (line.starts_with("train: ")) lines.push_back(line);
    return lines;
  }
  inline static std::unique_ptr<Folder> dir_;
};

/// ‖a − b‖ / ‖a‖.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    norm += a[i] * a[i];
  }
  return norm > 0 ? std::sqrt(error / norm) : std::sqrt(error);
}

TEST_F(Together, AnyNumberOfRanksGivesTheBytesOfOneProcess) {
  // Flips, dropout, a warm-up, and a last step of an epoch that has less passes than there are ranks.
  const std::string more = "--epochs 9 --schedule cosine --warmup 3 --rank-check 10";
  ASSERT_EQ(run(1, train("one", more)).code, 0) << content(in("run.err"));
  ASSERT_GE(steps("one"), 50u);
  for (const int ranks : {2, 4}) {
    const Outcome o = run(ranks, train(cat("of", ranks), more));
    ASSERT_EQ(o.code, 0) << o.err;
    expect_same_run("one", cat("of", ranks));
    EXPECT_NE(o.err.find(cat("rank 0 of ", ranks, " processes")), std::string::npos) << o.err;
  }
}

TEST_F(Together, RunningStatisticsAreThoseOfOneProcessButForRounding) {
  const std::string locate = " --task locate --window 16 --width 8 --epochs 2 --micro-batch 2";
  const auto command = [&](const std::string& out, bool locates) {
    if (!locates) return train(out, "--net resnet18");
    return cat("exec ", programs(), "/train --data ", in("data"), " --out ", in(out),
               " --batch 8 --lr 0.01 --seed 5 --threads 1 --workers 1 --device cpu", locate);
  };
  for (const bool locates : {false, true}) {
    const std::string one = cat("norm", locates), two = cat("norms", locates);
    ASSERT_EQ(run(1, command(one, locates)).code, 0) << content(in("run.err"));
    ASSERT_EQ(run(2, command(two, locates)).code, 0) << content(in("run.err"));
    const Safetensors a = Safetensors::open(in(one + "/last.safetensors")),
                      b = Safetensors::open(in(two + "/last.safetensors"));
    ASSERT_EQ(a.tensors().size(), b.tensors().size());
    for (const TensorInfo& t : a.tensors()) {
      const bool statistic = t.name.find(".running_") != std::string::npos;
      const double worst = distance(a.read_f64(t.name), b.read_f64(t.name));
      EXPECT_LE(worst, statistic ? 1e-6 : 0) << t.name;
    }
  }
}

TEST_F(Together, InterruptedKilledOrStandingStillItLosesNothing) {
  const std::string more = "--epochs 12 --rank-timeout 2";
  ASSERT_EQ(run(1, train("calm", more)).code, 0) << content(in("run.err"));
  const auto disturbed = [&](int ranks, size_t at_step, const std::function<void(Running&)>& disturb) {
    const auto running = start(ranks, train("disturbed", more + " --resume"));
    running->wait_for([&] { return steps("disturbed") >= at_step; });
    disturb(*running);
    const auto begin = std::chrono::steady_clock::now();
    const Outcome o = running->wait();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
    EXPECT_NE(o.code, 0);
    return o.err;
  };
  const std::string stopped = disturbed(2, 10, [](Running& mpirun) { mpirun.signal(SIGUSR1); });
  EXPECT_NE(said(stopped).back().find("all is saved. Continue with: "), std::string::npos) << stopped;
  EXPECT_EQ(stopped.find("rank 1:"), std::string::npos) << stopped;
  const std::string killed = disturbed(3, 31, [](Running&) { ::kill(pid_of(1), SIGKILL); });
  EXPECT_NE(killed.find("signal 9"), std::string::npos) << killed;
  const std::string hung = disturbed(4, 50, [](Running&) { ::kill(pid_of(2), SIGSTOP); });
  EXPECT_NE(hung.find(": rank 2 does not answer: ending all"), std::string::npos) << hung;
  const Outcome ended = run(1, train("disturbed", more + " --resume"));
  ASSERT_EQ(ended.code, 0) << ended.err;
  expect_same_run("calm", "disturbed");
}

TEST_F(Together, WhatDiffersBetweenRanksIsNamed) {
  for (const char* rank : {"0", "1"}) {
    fs::create_directories(in(cat("node", rank)));
    ASSERT_EQ(run(1, train("init", cat("--epochs 1 --seed 1", rank))).code, 0) << content(in("run.err"));
    fs::rename(in("init/best.safetensors"), in(cat("node", rank, "/init.safetensors")));
    fs::remove_all(in("init"));
  }
  const Outcome files =
      run(2, cat("cd ", in("node"), "$OMPI_COMM_WORLD_RANK; ", train("differ", "--quiet --init init.safetensors")));
  EXPECT_EQ(files.code, 1);
  ASSERT_EQ(said(files.err).size(), 1u) << files.err;
  EXPECT_NE(said(files.err)[0].find("features.0.weight of rank 1 differs from rank 0's before the first step"),
            std::string::npos)
      << files.err;
  const Outcome settings = run(2, train("other", "--quiet --seed 4$OMPI_COMM_WORLD_RANK"));
  EXPECT_EQ(settings.code, 2);
  ASSERT_EQ(said(settings.err).size(), 1u) << settings.err;
  EXPECT_NE(settings.err.find("rank 1 was started with another seed than rank 0: 41, not 40"), std::string::npos)
      << settings.err;
}

TEST_F(Together, MistakesEndInOneLine) {
  put(in("occupied/notes.txt"), "mine");
  const struct {
    std::string line, says;
  } mistakes[] = {
      {train("occupied"), "the run folder is not empty"},
      {train("none", "--micro-batch 8"), "is no work for 2 processes"},
      {train("none", "--batch auto"), "--batch auto runs in one process, and 2 were started"},
      {cat("exec ", programs(), "/train --task inpaint --photos ", in("data"), " --out ", in("none"), " --device cpu"),
       "--task inpaint runs in one process"}};
  for (const auto& mistake : mistakes) {
    const Outcome o = run(2, mistake.line + " --quiet");
    EXPECT_EQ(o.code, 2) << o.err;
    ASSERT_EQ(said(o.err).size(), 1u) << o.err;
    EXPECT_NE(said(o.err)[0].find(mistake.says), std::string::npos) << o.err;
    EXPECT_FALSE(fs::exists(in("none")));
  }
  const Outcome strangers = run(1, "export RANK=0 WORLD_SIZE=2; " + train("none", "--quiet"));
  EXPECT_EQ(strangers.code, 2);
  EXPECT_NE(strangers.err.find("torchrun started 2 processes, but MPI joins 1"), std::string::npos) << strangers.err;
}

}  // namespace
}  // namespace telltale
