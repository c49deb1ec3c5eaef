// mpirun -n N train --device cuda on GPUs that are not there (tests/fake_gpu/device.h), with an NCCL between processes
// of one machine: the bytes of one process, whenever work runs.
#include "tests/programs/together.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

class TogetherOnGpus : public Together {
 protected:
  void SetUp() override {
    Together::SetUp();
    if (!fs::exists(fake("train"))) GTEST_SKIP() << "no fake GPU: CUDA's headers were not here";
  }
  static std::string fake(const std::string& program) { return std::string(TT_BIN_DIR) + "/../fake/bin/" + program; }
  /// One epoch on as many GPUs as there are processes, or as `setting` says.
  static std::string on_gpus(const std::string& out, const std::string& more = "",
                             const std::string& setting = "devices=4") {
    return cat("export TT_FAKE_GPU=", setting, " OMP_WAIT_POLICY=passive XDG_CACHE_HOME=", in("cache"), "; exec ",
               fake("train"), " --data ", in("data"), " --out ", in(out),
               " --net alexnet --width 0.125 --size 64 --limit 24 --batch 8 --micro-batch 2 --lr 0.001 --alpha 1 "
               "--beta 1 --box-unit normalised --device cuda --threads 1 --workers 1 --seed 3 --epochs 2 ",
               more);
  }
};

TEST_F(TogetherOnGpus, AnyNumberGivesTheBytesOfOneProcess) {
  ASSERT_EQ(run(1, on_gpus("gpu")).code, 0) << content(in("run.err"));
  const struct {
    int ranks;
    std::string bucket, order;
  } runs[] = {{2, "25", "late"}, {2, "0.5", "early"}, {2, "0", "mixed"}, {3, "0.000001", "late"}, {4, "0.5", "late"}};
  for (const auto& [ranks, bucket, order] : runs) {
    const std::string out = cat("gpus", ranks, bucket);
    const Outcome o = run(ranks, on_gpus(out, "--rank-bucket " + bucket, "devices=4,order=" + order));
    ASSERT_EQ(o.code, 0) << o.err;
    expect_same_run("gpu", out);
    EXPECT_EQ(o.err.find("kernel by kernel"), std::string::npos) << "a pass and its sums are a graph: " << o.err;
    EXPECT_NE(o.err.find("running on Fake GPU (cuda:0)"), std::string::npos) << o.err;
  }
}

TEST_F(TogetherOnGpus, RunningStatisticsAreThoseOfOneProcessButForRounding) {
  const std::string more = "--net resnet18 --size 32 ";
  ASSERT_EQ(run(1, on_gpus("norm", more)).code, 0) << content(in("run.err"));
  ASSERT_EQ(run(3, on_gpus("norms", more)).code, 0) << content(in("run.err"));
  const Safetensors a = Safetensors::open(in("norm/last.safetensors")),
                    b = Safetensors::open(in("norms/last.safetensors"));
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  double moved = 0;
  for (const TensorInfo& t : a.tensors()) {
    const std::vector<double> one = a.read_f64(t.name), several = b.read_f64(t.name);
    double error = 0, norm = 0;
    for (size_t i = 0; i < one.size(); ++i) {
      error += (one[i] - several[i]) * (one[i] - several[i]);
      norm += one[i] * one[i];
    }
    const bool statistic = t.name.find(".running_") != std::string::npos;
    EXPECT_LE(std::sqrt(error), statistic ? 1e-6 * std::sqrt(norm) : 0) << t.name;
    if (statistic) moved += std::sqrt(norm);
  }
  EXPECT_GT(moved, 1);
}

TEST_F(TogetherOnGpus, GradientsRoundedOnTheirWayGiveTheBytesOfOneProcessThatRoundsThem) {
  const std::string more = "--rank-transport bf16 --rank-bucket 0.5";
  ASSERT_EQ(run(1, on_gpus("rounds", more)).code, 0) << content(in("run.err"));
  ASSERT_EQ(run(2, on_gpus("rounds2", more)).code, 0) << content(in("run.err"));
  expect_same_run("rounds", "rounds2");
  ASSERT_EQ(run(2, on_gpus("exact")).code, 0) << content(in("run.err"));
  EXPECT_NE(content(in("rounds/last.safetensors")), content(in("exact/last.safetensors")));
}

TEST_F(TogetherOnGpus, BothNetsOfTheInpainterAreThoseOfOneProcess) {
  const auto command = [&](const std::string& out) {
    return cat("export TT_FAKE_GPU=devices=2 OMP_WAIT_POLICY=passive XDG_CACHE_HOME=", in("cache"), "; exec ",
               fake("train"), " --task inpaint --photos ", in("data/photos"), " --out ", in(out),
               " --size 32 --width 4 --adversary-width 4 --adversary-layers 3 --batch 2 --micro-batch 1 --steps 4 "
               "--warmup-l1-steps 2 --report-steps 2 --validation-photos 2 --seed 3 --device cuda --threads 1 "
               "--workers 1 --rank-check 2 --rank-bucket 0.01");
  };
  ASSERT_EQ(run(1, command("paint")).code, 0) << content(in("run.err"));
  ASSERT_EQ(run(2, command("paints")).code, 0) << content(in("run.err"));
  expect_same_run("paint", "paints");
}

TEST_F(TogetherOnGpus, WhatGoesWrongIsSaidInOneLine) {
  const struct {
    std::string line, says;
    int code;
  } mistakes[] = {{on_gpus("none", "--quiet", "devices=1"), "ranks 0 and 1 would share a GPU of ", 2},
                  {on_gpus("none", "--quiet --device cuda:1"), "ranks 0 and 1 would share a GPU of ", 2},
                  {on_gpus("none", "--quiet --sync-batchnorm --micro-batch 4"), "share batch norms on CPUs only", 2},
                  {on_gpus("failed", "--quiet", "devices=2,nccl_fails=5"), "NCCL 22809: internal error", 1}};
  for (const auto& mistake : mistakes) {
    const Outcome o = run(2, mistake.line);
    EXPECT_EQ(o.code, mistake.code) << o.err;
    ASSERT_EQ(said(o.err).size(), 1u) << o.err;
    EXPECT_NE(said(o.err)[0].find(mistake.says), std::string::npos) << o.err;
    EXPECT_FALSE(fs::exists(in("none")));
  }
}

TEST_F(TogetherOnGpus, WhoStandsStillIsNamed) {
  const auto running = start(2, on_gpus("hung", "--epochs 200 --rank-timeout 2"));
  running->wait_for([&] { return steps("hung") >= 5; });
  ::kill(pid_of(1), SIGSTOP);
  const auto begin = std::chrono::steady_clock::now();
  const Outcome o = running->wait();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  EXPECT_NE(o.code, 0);
  EXPECT_NE(o.err.find(": rank 1 does not answer: ending all"), std::string::npos) << o.err;
}

}  // namespace
}  // namespace telltale
