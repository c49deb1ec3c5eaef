// mpirun -n N train: the bytes of one process, whoever is interrupted, killed or stands still meanwhile.
#include <cmath>

#include "tests/programs/together.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

/// ‖a − b‖ / ‖a‖.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    norm += a[i] * a[i];
  }
  return norm > 0 ? std::sqrt(error / norm) : std::sqrt(error);
}

/// Over all parameters that train, or all running statistics, of two runs.
double parameters_apart(const std::string& one, const std::string& other, bool statistics) {
  const Safetensors a = Safetensors::open(one), b = Safetensors::open(other);
  std::vector<double> of_one, of_other;
  for (const TensorInfo& t : a.tensors()) {
    if (!t.name.starts_with("model.") || (t.name.find(".running_") != std::string::npos) != statistics) continue;
    for (const auto& [file, values] : {std::pair(&a, &of_one), {&b, &of_other}}) {
      const std::vector<double> v = file->read_f64(t.name);
      values->insert(values->end(), v.begin(), v.end());
    }
  }
  EXPECT_FALSE(of_one.empty());
  return distance(of_one, of_other);
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

TEST_F(Together, GradientsSummedDuringBackwardAreThoseSummedBehindIt) {
  // A net of 3.6 MB: a bucket for each parameter, for some, and for all. Batches of 12 in 6 passes take two rounds.
  const std::string more = "--batch 12 --rank-bucket ";
  ASSERT_EQ(run(1, train("lone", more + "1")).code, 0) << content(in("run.err"));
  const struct {
    int ranks;
    const char* bucket;
  } runs[] = {{2, "0"}, {2, "0.000001"}, {2, "0.5"}, {4, "0.5"}, {4, "100"}};
  for (const auto& [ranks, bucket] : runs) {
    const std::string out = cat("bucket", bucket, "of", ranks);
    const Outcome o = run(ranks, train(out, more + bucket));
    ASSERT_EQ(o.code, 0) << o.err;
    expect_same_run("lone", out);
  }
}

TEST_F(Together, GradientsRoundedOnTheirWayGiveTheBytesOfOneProcessThatRoundsThem) {
  const std::string more = "--rank-bucket 0.5 --rank-transport ";
  ASSERT_EQ(run(1, train("rounds", more + "bf16")).code, 0) << content(in("run.err"));
  for (const int ranks : {2, 4}) {
    const Outcome o = run(ranks, train(cat("rounds", ranks), more + "bf16"));
    ASSERT_EQ(o.code, 0) << o.err;
    expect_same_run("rounds", cat("rounds", ranks));
  }
  ASSERT_EQ(run(2, train("exact", more + "f32")).code, 0) << content(in("run.err"));
  const double apart =
      parameters_apart(in("rounds/last.safetensors"), in("exact/last.safetensors"), /*statistics=*/false);
  EXPECT_GT(apart, 1e-7) << "they are rounded";
  EXPECT_LT(apart, 0.05) << "and train all the same";
  const Outcome other = run(2, train("rounds2", "--resume --epochs 3 --rank-transport f32"));
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("rank_transport"), std::string::npos) << other.err;
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

TEST_F(Together, SyncedBatchNormIsThatOfOnePassOverTheBatch) {
  // Few and small steps: batch norm over few rows multiplies what rounding does. Dropout is keyed by pass, and passes
  // differ.
  const auto command = [&](const std::string& out, int ranks, const std::string& more) {
    return train(out, cat("--net resnet18 --lr 0.00001 --dropout 0 --epochs 1 --micro-batch ", 8 / ranks, " ", more));
  };
  ASSERT_EQ(run(1, command("whole", 1, "--sync-batchnorm")).code, 0) << content(in("run.err"));
  ASSERT_GE(steps("whole"), 5u);
  for (const int ranks : {2, 4}) {
    const std::string several = cat("synced", ranks);
    ASSERT_EQ(run(ranks, command(several, ranks, "--sync-batchnorm")).code, 0) << content(in("run.err"));
    for (const bool statistics : {false, true}) {
      const double apart =
          parameters_apart(in("whole/last.safetensors"), in(several + "/last.safetensors"), statistics);
      std::printf("%d ranks, %s: %g apart\n", ranks, statistics ? "statistics" : "parameters", apart);
      EXPECT_LE(apart, 1e-6) << ranks << " ranks, statistics: " << statistics;
    }
  }
  ASSERT_EQ(run(2, command("apart", 2, "")).code, 0) << content(in("run.err"));
  EXPECT_GT(parameters_apart(in("whole/last.safetensors"), in("apart/last.safetensors"), false), 1e-5)
      << "batch norm of each pass is another training";
  const Outcome uneven = run(3, train("uneven", "--net resnet18 --quiet --sync-batchnorm"));
  EXPECT_EQ(uneven.code, 2);
  EXPECT_NE(uneven.err.find("--sync-batchnorm: each of 3 processes runs one pass of a step"), std::string::npos)
      << uneven.err;
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

TEST_F(Together, BothNetsOfTheInpainterAreThoseOfOneProcess) {
  const auto command = [&](const std::string& out, const std::string& more = "") {
    return cat(
        "exec ", programs(), "/train --task inpaint --photos ", in("data/photos"), " --out ", in(out),
        " --size 32 --width 8 --adversary-width 8 --adversary-layers 3 --batch 4 --micro-batch 1 --steps 12 "
        "--warmup-l1-steps 4 --report-steps 6 --validation-photos 4 --seed 3 --device cpu --threads 1 --workers 1 "
        "--rank-check 5 ",
        more);
  };
  ASSERT_EQ(run(1, command("paint")).code, 0) << content(in("run.err"));
  for (const int ranks : {2, 3, 4}) {
    const Outcome o = run(ranks, command(cat("paints", ranks)));
    ASSERT_EQ(o.code, 0) << o.err;
    expect_same_run("paint", cat("paints", ranks));
  }
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
  } mistakes[] = {{train("occupied"), "the run folder is not empty"},
                  {train("none", "--micro-batch 8"), "is no work for 2 processes"},
                  {train("none", "--batch auto"), "--batch auto runs in one process, and 2 were started"}};
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
