// The programs with --device cuda on a GPU that is not there (tests/fake_gpu/device.h): what they give is what the host
// gives, and what a GPU refuses, breaks or has no memory for ends as it should.
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "data/codec.h"
#include "models/locator/locator.h"
#include "tests/engine/program_run.h"
#include "weights/names.h"

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
  /// On a GPU as `setting` says; what is chosen is kept in the folder `cache`, by default one where nothing is yet.
  static Outcome run_on_gpu(const std::string& line, const std::string& setting = "", const std::string& cache = "") {
    static int calls = 0;
    return Running("../fake/bin/" + line, path("run"),
                   "export OMP_WAIT_POLICY=passive TT_FAKE_GPU=" + setting +
                       " XDG_CACHE_HOME=" + path(cache.empty() ? "cache" + std::to_string(++calls) : cache) + ";")
        .wait();
  }
  /// By operation the engine that a run chose; -1 where the plain form was faster.
  static std::map<std::string, int> chosen_in(const std::string& cache) {
    std::map<std::string, int> engines;
    for (const auto& [file, text] : tree(path(cache))) {
      const nlohmann::json plans = nlohmann::json::parse(text);
      for (const auto& [operation, plan] : plans.items()) engines[operation] = plan.at("engine");
    }
    return engines;
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

/// Whenever work runs: as late as it may, at once, or now and then.
TEST_F(FakeGpu, TrainingGivesWhatTheHostGives) {
  for (const std::string order : {"late", "mixed", "early"}) {
    const Outcome o = run_on_gpu(training(order, "cuda"), "order=" + order);
    ASSERT_EQ(o.code, 0) << order << ": " << o.err;
    EXPECT_EQ(o.err.find("kernel by kernel"), std::string::npos) << "a step is a graph: " << o.err;
    expect_like_the_host(order, 2e-3);
  }
}

/// How many steps overflowed, from a run's checkpoint.
int skipped_in(const std::string& checkpoint) {
  const std::string text = content(checkpoint), key = "\"skipped\\\":";
  const size_t at = text.find(key);
  return at == std::string::npos ? -1 : std::atoi(text.c_str() + at + key.size());
}

/// With batch norms inside the convolutions. Its loss scale is too large at first, so that steps overflow, which change
/// nothing; on a GPU some more do, since filters' gradients are in halves there on their way and in f32 on the host.
/// The others are replayed.
TEST_F(FakeGpu, TrainingInHalvesSkipsStepsThatOverflow) {
  const std::string halves = "--precision f16 --epochs 3";
  Outcome o = run(training("host_halves", "cpu", halves));
  ASSERT_EQ(o.code, 0) << o.err;
  o = run_on_gpu(training("halves", "cuda", halves));
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.err.find("kernel by kernel"), std::string::npos) << o.err;
  const int on_host = skipped_in(path("host_halves") + "/last.safetensors"),
            on_gpu = skipped_in(path("halves") + "/last.safetensors");
  EXPECT_GT(on_host, 0);
  EXPECT_GE(on_gpu, on_host);
  EXPECT_LT(on_gpu, 12) << "of twelve steps";
  EXPECT_LT(results("halves").at("train_loss"), 2 * results("host_halves").at("train_loss"));
}

/// Work runs as soon as it is given: the host looks at every tensor, and keeping it out in between costs time.
TEST_F(FakeGpu, NodeByNodeBothDevicesAgree) {
  for (const std::string precision : {"f32", "bf16", "f16"}) {
    const Outcome o = run_on_gpu(training("check", "cuda", "--check --precision " + precision), "order=early");
    EXPECT_EQ(o.code, 0) << precision << ": " << o.out << o.err;
    EXPECT_NE(o.out.find("agree, node by node, on Fake GPU (cuda:0)"), std::string::npos) << o.out;
  }
}

/// With the only engine that rounds to TF32. With this seed a filter's gradient sums products that nearly cancel, so
/// that rounding their operands would show.
TEST_F(FakeGpu, NodeByNodeBothDevicesAgreeInTf32) {
  const Outcome o =
      run_on_gpu(training("check", "cuda", "--check --precision tf32 --seed 4"), "order=early,refuse=0+1+4");
  EXPECT_EQ(o.code, 0) << o.out << o.err;
  EXPECT_NE(o.out.find("agree, node by node, on Fake GPU (cuda:0)"), std::string::npos) << o.out;
}

TEST_F(FakeGpu, PaintedPicturesAreThoseOfTheHost) {
  const std::string synth = "synth --scenes 6 --size 32 --width 2 --weights random:1 --quiet --device ";
  ASSERT_EQ(run(synth + "cpu --out " + path("cpu_painted")).code, 0);
  const Outcome o = run_on_gpu(synth + "cuda --out " + path("gpu_painted"));
  ASSERT_EQ(o.code, 0) << o.err;
  int pictures = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path("cpu_painted") + "/images")) {
    if (!entry.is_regular_file()) continue;
    const std::string other = path("gpu_painted/images/") + fs::relative(entry, path("cpu_painted/images")).string();
    const Image a = read_image(entry.path()), b = read_image(other);
    ASSERT_EQ(a.rgb.size(), b.rgb.size()) << other;
    double apart = 0;
    for (size_t i = 0; i < a.rgb.size(); ++i) apart += std::abs(int(a.rgb[i]) - int(b.rgb[i]));
    EXPECT_LT(apart / double(a.rgb.size()), 0.05) << other;  // a pixel rounds to the other side now and then
    ++pictures;
  }
  EXPECT_GE(pictures, 6);
}

TEST_F(FakeGpu, EvalReportsWhatTheHostReports) {
  const std::string eval =
      "eval --quiet --data " + data() + " --weights " + path("host/best.safetensors") + " --split train";
  ASSERT_EQ(run(eval + " --device cpu --out " + path("cpu_report")).code, 0);
  const Outcome o = run_on_gpu(eval + " --device cuda --out " + path("gpu_report"));
  ASSERT_EQ(o.code, 0) << o.err;
  const auto host = nlohmann::json::parse(content(path("cpu_report/report.json"))),
             gpu = nlohmann::json::parse(content(path("gpu_report/report.json")));
  for (const char* figure : {"roc_auc", "mean_iou", "accuracy"})
    EXPECT_NEAR(gpu.at(figure).get<double>(), host.at(figure).get<double>(), 1e-3) << figure;
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

/// What a program gave a GPU and when it waited for it.
struct Course {
  int sent = 0, asked = 0;  ///< batches; downloads of what came of them
  int early = 0;            ///< waits for what came of a batch before the next one was sent
  int most = 0;             ///< batches at once that were sent and not waited for
};
Course course_of(const std::string& trace, size_t batch_bytes, size_t answer_bytes) {
  Course c;
  int awaited = 0;
  std::vector<int> sent_by;  // how many were, at the wait for each
  std::ifstream lines(trace);
  for (std::string line; std::getline(lines, line);) {
    c.sent += line == cat("to_device ", batch_bytes);
    c.asked += line == cat("to_host ", answer_bytes);
    c.most = std::max(c.most, c.sent - awaited);
    if (line != "waits" || awaited == c.asked) continue;
    ++awaited;
    sent_by.push_back(c.sent);
  }
  for (int i = 0; i < int(sent_by.size()); ++i) c.early += sent_by[size_t(i)] < std::min(c.sent, i + 2);
  return c;
}

/// Where work runs as late as it may: a batch is sent before the host waits for the one before, and no third one.
void expect_overlap(const std::string& trace, size_t batch_bytes, size_t answer_bytes) {
  const Course c = course_of(trace, batch_bytes, answer_bytes);
  EXPECT_GE(c.sent, 3) << trace;
  EXPECT_EQ(c.asked, c.sent) << trace;
  EXPECT_EQ(c.early, 0) << "of " << c.sent << " batches: " << trace;
  EXPECT_EQ(c.most, 2) << trace;
}

TEST_F(FakeGpu, InferAndEvalSendABatchWhileTheOneBeforeIsComputed) {
  const std::string weights = " --quiet --batch 8 --device cuda --weights " + path("host/best.safetensors");
  constexpr size_t kBatch = 8 * 32 * 32 * 3, kAnswer = 8 * 5 * sizeof(float);
  const std::string infer = "infer " + data() + "/images" + weights;
  const Outcome late = run_on_gpu(infer, "trace=" + path("infer.trace"));
  ASSERT_EQ(late.code, 0) << late.err;
  expect_overlap(path("infer.trace"), kBatch, kAnswer);
  const Outcome eval = run_on_gpu("eval --data " + data() + " --split train --out " + path("late") + weights,
                                  "trace=" + path("eval.trace"));
  ASSERT_EQ(eval.code, 0) << eval.err;
  expect_overlap(path("eval.trace"), kBatch, kAnswer);
  const auto without_times = [](const std::string& out) {
    std::string text;
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
      nlohmann::json j = nlohmann::json::parse(line);
      j.erase("ms");
      text += j.dump() + "\n";
    }
    return text;
  };
  const Outcome mixed = run_on_gpu(infer, "order=mixed");
  EXPECT_EQ(without_times(mixed.out), without_times(late.out)) << "whenever work runs";
}

TEST_F(FakeGpu, SynthSendsABatchWhileTheOneBeforeIsPainted) {
  const std::string synth =
      "synth --scenes 16 --size 32 --width 2 --weights random:1 --quiet --batch 2 --device cuda --out ";
  const Outcome o = run_on_gpu(synth + path("late_painted"), "trace=" + path("synth.trace"));
  ASSERT_EQ(o.code, 0) << o.err;
  expect_overlap(path("synth.trace"), 2 * (32 * 32 * 4 + 2) * sizeof(float), 2 * 32 * 32 * 3 * sizeof(float));
  ASSERT_EQ(run_on_gpu(synth + path("mixed_painted"), "order=mixed").code, 0);
  for (const char* folder : {"/images", "/masks"})
    EXPECT_TRUE(tree(path("mixed_painted") + folder) == tree(path("late_painted") + folder)) << "whenever work runs";
}

TEST_F(FakeGpu, TheLocatorSendsATileWhileTheOneBeforeIsLookedAt) {
  const LocatorInfo info{.net = "trace_locator", .width = 4, .residuals = true};
  Stream host = Stream::cpu(1);
  Program program(locator_graph(info, {1, 8, 8, 3}).graph, host, {.seed = 3});
  write_safetensors(path("locator.safetensors"), params_dict(host, program.params()),
                    {{"kind", "locator"}, {"net", info.net}, {"width", "4"}, {"residuals", "1"}});
  Image picture(800, 64);
  for (size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = uint8_t(i * 7919 % 251);
  write_png(path("wide.png"), picture);
  const std::string infer = "infer --quiet " + path("wide.png") + " --weights " + path("locator.safetensors");
  const Outcome o = run_on_gpu(infer + " --device cuda", "trace=" + path("tiles.trace"));
  ASSERT_EQ(o.code, 0) << o.err;
  const Locator::Seam seam = Locator::kComparedSeam;
  const auto width = size_t(tiles_along(800, Locator::Settings().compared, seam.reach, seam.blend).length);
  expect_overlap(path("tiles.trace"), width * 64 * 3, width / 2 * 32 * sizeof(float));
  EXPECT_NEAR(nlohmann::json::parse(o.out).at("fake_probability").get<double>(),
              nlohmann::json::parse(run(infer + " --device cpu").out).at("fake_probability").get<double>(), 1e-4);
}

/// The kernels and the libraries' operations of one training step, from a program's trace: that of the number given,
/// counted from 0; a step ends with the optimiser's kernels.
std::vector<std::string> step_of(const std::string& trace, int number) {
  std::vector<std::string> step;
  std::ifstream lines(trace);
  bool updates = false;
  for (std::string line; std::getline(lines, line);) {
    const std::string what = line.starts_with("runs ") ? line.substr(5) : "";
    if (what.empty() || what.starts_with("a copy") || what == "a memset" || what.ends_with("event")) continue;
    const bool optimiser = what.find("Adam") != std::string::npos;
    if (updates && !optimiser && number-- == 0) return step;
    if (updates && !optimiser) step.clear();
    updates = optimiser;
    step.push_back(what);
  }
  return number == 0 && updates ? step : std::vector<std::string>();
}

/// What is timed is what trains, kernel by kernel: from the bytes of images on, with its stem in blocks, the loss, and
/// the optimiser. A step is a graph from its third run on.
TEST_F(FakeGpu, BenchTimesTheStepThatTrains) {
  Outcome o = run_on_gpu(training("timed", "cuda", "--loss giou --quiet"), "trace=" + path("train.trace"));
  ASSERT_EQ(o.code, 0) << o.err;
  o = run_on_gpu("bench nets --mode train --net resnet18 --size 32 --batch 8 --device cuda --serve </dev/null",
                 "trace=" + path("bench.trace"));
  ASSERT_EQ(o.code, 0) << o.err;
  const std::vector<std::string> trained = step_of(path("train.trace"), 2), timed = step_of(path("bench.trace"), 2);
  EXPECT_GT(trained.size(), 100u);
  EXPECT_EQ(timed, trained);
  const auto some = [&](const char* word) {
    return std::any_of(timed.begin(), timed.end(),
                       [&](const std::string& what) { return what.find(word) != what.npos; });
  };
  EXPECT_TRUE(some("PreprocessBlocks")) << "bytes become numbers, in blocks of pixels for the stem";
  EXPECT_TRUE(some("Giou")) << "the loss";
  for (const std::string& what : timed)
    EXPECT_TRUE(what.find("FoldSlabs") == what.npos || what.ends_with("Li1EEE")) << "a block a channel: " << what;
}

TEST_F(FakeGpu, AnEngineThatCannotBeRecordedIsNotChosen) {
  const Outcome o = run_on_gpu(training("unrecordable", "cuda"), "unrecordable=0,slow=1");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.err.find("kernel by kernel"), std::string::npos) << o.err;
  expect_like_the_host("unrecordable", 2e-3);
}

TEST_F(FakeGpu, AnEngineThatRefusesOrFailsIsPassedOver) {
  for (const std::string how : {"refuse", "fail"}) {
    const Outcome o = run_on_gpu(training(how, "cuda"), how + "=0,slow=1");
    ASSERT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(o.err.find("slow reference"), std::string::npos) << "others are left: " << o.err;
    expect_like_the_host(how, 2e-3);
  }
}

TEST_F(FakeGpu, WhereNoEngineRunsTheReferenceDoesAndItIsSaid) {
  for (const std::string how : {"refuse", "fail"}) {
    const Outcome o = run_on_gpu(training("no_" + how, "cuda"), how + "=all");
    ASSERT_EQ(o.code, 0) << o.err;
    EXPECT_NE(o.err.find("the slow reference computes it"), std::string::npos) << o.err;
    expect_like_the_host("no_" + how, 2e-3);
  }
}

/// Eight per cent too much: cuDNN's convolutions themselves are taken at their word, but those with a batch norm inside
/// are compared with the plain form, which is right where another engine computes it.
TEST_F(FakeGpu, AFusedEngineSomePercentOffIsRefused) {
  const Outcome o = run_on_gpu(training("wrong", "cuda", "--precision f16 --epochs 3"), "wrong=fused");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.err.find("differs from the plain form"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("not used"), std::string::npos) << o.err;
}

/// What an earlier run chose is compared once in every process, too: another driver may have come in between.
TEST_F(FakeGpu, AFusedEngineThatWasRightIsRefusedOnceItIsWrong) {
  const std::string halves = "--precision f16 --epochs 3", cache = "choices_right";
  Outcome o = run_on_gpu(training("right", "cuda", halves), "", cache);
  ASSERT_EQ(o.code, 0) << o.err;
  const std::map<std::string, int> chosen = chosen_in(cache);
  o = run_on_gpu(training("wrong_now", "cuda", halves), "wrong=fused", cache);
  ASSERT_EQ(o.code, 0) << o.err;
  int kept = 0;
  for (const auto& [operation, engine] : chosen) {
    const auto says = [&, &name = operation](const char* word) { return name.find(word) != std::string::npos; };
    const bool sums_too = says(" sums ") || (says("input_grad") && says(" norm "));  // `fused` means these
    if (!sums_too || engine < 0) continue;
    ++kept;
    EXPECT_NE(o.err.find("cuDNN's engine " + std::to_string(engine) + " for " + operation + " differs"),
              std::string::npos)
        << operation << "\n"
        << o.err;
  }
  EXPECT_GT(kept, 0) << "none was faster than the plain form";
}

/// An error that passes: every operation is chosen on its second use, before the step is recorded.
TEST_F(FakeGpu, AChoiceThatEndedInAnErrorIsMadeOnceMore) {
  for (const std::string precision : {"f32", "f16"}) {
    const std::string more = "--epochs 2 --precision " + precision, decided = "decided_" + precision,
                      hesitated = "hesitated_" + precision;
    Outcome o = run_on_gpu(training(decided, "cuda", more), "", "choices_" + decided);
    ASSERT_EQ(o.code, 0) << o.err;
    o = run_on_gpu(training(hesitated, "cuda", more), "hesitate=1", "choices_" + hesitated);
    ASSERT_EQ(o.code, 0) << o.err;
    EXPECT_NE(o.err.find("the slow reference computes it"), std::string::npos) << o.err;
    const std::map<std::string, int> all = chosen_in("choices_" + decided), later = chosen_in("choices_" + hesitated);
    EXPECT_GT(all.size(), 30u);
    for (const auto& [operation, engine] : all) EXPECT_TRUE(later.contains(operation)) << operation << " was given up";
  }
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
