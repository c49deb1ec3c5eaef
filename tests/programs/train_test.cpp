// train and eval as users run them: the real programs on a real dataset folder, made here: squares of noise as fakes.
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/sha256.h"
#include "data/codec.h"
#include "tests/engine/program_run.h"
#include "tests/programs/noise_dataset.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) all.push_back(line);
  return all;
}

std::vector<double> numbers(const std::string& csv_row) {
  std::vector<double> v;
  std::istringstream stream(csv_row);
  for (std::string cell; std::getline(stream, cell, ',');) v.push_back(std::stod(cell));
  return v;
}

class TrainPipeline : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = fs::temp_directory_path() / cat("telltale_train_test_", ::getpid());
    fs::create_directories(root_);
    make_dataset(data(), 48, 16, 16);
  }
  static void TearDownTestSuite() { fs::remove_all(root_); }

  static std::string data() { return root_ / "data"; }
  static std::string path(const std::string& name) { return root_ / name; }

  static std::string binary(const std::string& tool) { return cat(TT_BIN_DIR, "/", tool); }
  /// Runs a tool to its end.
  static Outcome run(const std::string& tool, const std::string& arguments, const std::string& shell_before = "") {
    const std::string out = path("stdout.txt"), err = path("stderr.txt");
    const int status = std::system(cat(shell_before, binary(tool), " ", arguments, " >", out, " 2>", err).c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content(out), content(err)};
  }
  /// Starts train, waits until it logged `steps` steps, sends the signal and returns its exit status.
  static int interrupt_train(const std::string& arguments, const std::string& run, size_t steps, int signal) {
    const pid_t child = ::fork();
    if (child == 0) {
      const std::string command = cat("exec ", binary("train"), " ", arguments, " >/dev/null 2>", path("stderr.txt"));
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      if (lines(content(run + "/metrics.jsonl")).size() >= steps) {
        ::kill(child, signal);
        ::waitpid(child, &status, 0);
        return status;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return status;
  }
  /// Small enough for a second an epoch; of flags given twice the last counts.
  static std::string small(const std::string& run, const std::string& more = "") {
    return cat("--data ", data(), " --out ", run,
               " --net resnet18 --width 0.125 --size 64 --batch 8 --epochs 3 --lr 0.002 --alpha 1 --beta 1"
               " --box-unit normalised --device cpu --threads 2 --seed 3 ",
               more);
  }
  static void expect_same_run(const std::string& a, const std::string& b) {
    for (const char* file : {"last.safetensors", "best.safetensors", "results.csv"}) {
      EXPECT_FALSE(content(a + "/" + file).empty()) << file;
      EXPECT_TRUE(content(a + "/" + file) == content(b + "/" + file)) << file << " differs";
    }
    EXPECT_EQ(lines(content(a + "/metrics.jsonl")).size(), lines(content(b + "/metrics.jsonl")).size());
    EXPECT_EQ(lines(content(a + "/timing.csv")).size(), lines(content(b + "/timing.csv")).size());
  }

  inline static fs::path root_;
};

TEST_F(TrainPipeline, LearnsAndEvaluates) {
  const std::string run_dir = path("learns"), report_dir = path("learns/report");
  const Outcome trained = run("train", small(run_dir, "--epochs 10"));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::vector<std::string> rows = lines(content(run_dir + "/results.csv"));
  ASSERT_EQ(rows.size(), 11u);
  EXPECT_LT(numbers(rows.back())[2], 0.7 * numbers(rows[1])[2]) << "the training loss falls";
  // The epoch's figures are its steps', a share of 8 of 48 samples each.
  double accuracy = 0;
  for (const std::string& line : lines(content(run_dir + "/metrics.jsonl"))) {
    const json step = json::parse(line);
    if (step.at("epoch") == 10) accuracy += step.at("accuracy").get<double>() / 6;
  }
  EXPECT_NEAR(numbers(rows.back())[5], accuracy, 1e-12);
  EXPECT_GT(accuracy, 0.9);
  EXPECT_GT(numbers(rows.back())[6], numbers(rows[1])[6]) << "the training boxes get better";

  const Outcome judged = run("eval", cat("--data ", data(), " --weights ", run_dir, "/best.safetensors --out ",
                                         report_dir, " --split train --device cpu"));
  ASSERT_EQ(judged.code, 0) << judged.err;
  EXPECT_NE(judged.out.find("mean IoU"), std::string::npos);
  const json report = json::parse(content(report_dir + "/report.json"));
  EXPECT_GT(report.at("roc_auc").get<double>(), 0.9);
  EXPECT_GT(report.at("mean_iou").get<double>(), 0.2);
  for (const char* name : {"precision", "recall", "f1", "accuracy", "roc_auc", "mean_iou"}) {
    const auto [low, high] = report.at("intervals_95").at(name).get<std::pair<double, double>>();
    EXPECT_LE(low, report.at(name).get<double>()) << name;
    EXPECT_GE(high, report.at(name).get<double>()) << name;
    EXPECT_TRUE(low < high || report.at(name) == 1.0) << name;
  }
  EXPECT_EQ(report.at("weights").at("sha256"), sha256_file(run_dir + "/best.safetensors"));
  EXPECT_EQ(report.at("dataset").at("labels_sha256"), sha256_file(data() + "/labels.csv"));
  // The table of predictions tells the same counts as the report.
  const std::vector<std::string> predictions = lines(content(report_dir + "/predictions.csv"));
  ASSERT_EQ(predictions.size(), 49u);
  int true_positives = 0;
  double overlap = 0;
  for (size_t i = 1; i < predictions.size(); ++i) {
    std::vector<std::string> cells;
    std::istringstream stream(predictions[i]);
    for (std::string cell; std::getline(stream, cell, ',');) cells.push_back(cell);
    if (cells[1] != "1" || cells[4] != "1") continue;
    ++true_positives;
    overlap += std::stod(cells[9]);
  }
  EXPECT_EQ(report.at("confusion").at("true_positives"), true_positives);
  EXPECT_NEAR(report.at("mean_iou").get<double>(), overlap / 24, 1e-5);
  for (const char* picture : {"roc.png", "confusion.png"}) {
    if (std::system("gnuplot --version >/dev/null 2>&1") == 0) {
      EXPECT_EQ(read_image(report_dir + "/" + picture).width, 900);
    }
  }
}

TEST_F(TrainPipeline, KilledRunEndsByteIdentical) {
  const std::string unbroken = path("unbroken"), killed = path("killed");
  ASSERT_EQ(run("train", small(unbroken, "--checkpoint-minutes 0")).code, 0);
  Random random(uint64_t(::getpid()));
  size_t steps = 0;
  for (int kill = 0; kill < 3; ++kill) {  // 18 steps: the kills fall within epochs, at their ends, within writes
    steps += size_t(random.integer(1, 6));
    const int status = interrupt_train(small(killed, "--checkpoint-minutes 0 --resume"), killed, steps, SIGKILL);
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << content(path("stderr.txt"));
  }
  const Outcome resumed = run("train", small(killed, "--checkpoint-minutes 0 --resume"));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  expect_same_run(unbroken, killed);
  const std::string last = content(killed + "/last.safetensors");
  EXPECT_EQ(run("train", small(killed, "--resume")).code, 0) << "a finished run may be resumed";
  EXPECT_TRUE(last == content(killed + "/last.safetensors"));
}

TEST_F(TrainPipeline, KilledWithoutACheckpointStartsAnew) {
  const std::string unbroken = path("anew_a"), killed = path("anew_b");
  ASSERT_EQ(run("train", small(unbroken, "--epochs 1")).code, 0);
  interrupt_train(small(killed, "--epochs 1"), killed, 2, SIGKILL);
  EXPECT_FALSE(fs::exists(killed + "/last.safetensors"));
  ASSERT_EQ(run("train", small(killed, "--epochs 1 --resume")).code, 0);
  expect_same_run(unbroken, killed);
}

TEST_F(TrainPipeline, InterruptSavesAndSaysHowToContinue) {
  const std::string unbroken = path("calm"), stopped = path("stopped");
  // Dropout draws by step and 16-bit copies are made from the masters, so neither needs a state of its own.
  const std::string dropout = " --net alexnet --precision bf16 --schedule cosine --warmup 3";
  ASSERT_EQ(run("train", small(unbroken, dropout)).code, 0);
  const int status = interrupt_train(small(stopped, dropout), stopped, 8, SIGINT);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  const std::vector<std::string> said = lines(content(path("stderr.txt")));
  ASSERT_FALSE(said.empty());
  EXPECT_NE(said.back().find("Continue with: "), std::string::npos) << said.back();
  EXPECT_NE(said.back().find(" --resume"), std::string::npos) << said.back();
  ASSERT_EQ(run("train", small(stopped, dropout + " --resume")).code, 0);
  expect_same_run(unbroken, stopped);
}

/// A checkpoint that does not fit: the one before stays, nothing half-written does, and with room again the run goes
/// on.
TEST_F(TrainPipeline, AFullDiskKeepsTheLastCheckpoint) {
  const std::string unbroken = path("roomy"), cramped = path("cramped");
  ASSERT_EQ(run("train", small(unbroken)).code, 0);
  ASSERT_EQ(run("train", small(cramped, "--epochs 1")).code, 0);
  const std::string last = content(cramped + "/last.safetensors");
  // A limit on file size fails write() as a full disk does; the signal is ignored so that write() itself fails.
  const Outcome o = run("train", small(cramped, "--resume --quiet"), "trap '' XFSZ; ulimit -f 64; ");
  EXPECT_EQ(o.code, 1) << o.err;
  EXPECT_EQ(lines(o.err).size(), 1u) << o.err;
  EXPECT_NE(o.err.find("File too large"), std::string::npos) << o.err;
  EXPECT_TRUE(last == content(cramped + "/last.safetensors"));
  for (const auto& entry : fs::directory_iterator(cramped))
    EXPECT_EQ(entry.path().string().find(".part-"), std::string::npos) << entry.path();
  ASSERT_EQ(run("train", small(cramped, "--resume")).code, 0);
  expect_same_run(unbroken, cramped);
}

TEST_F(TrainPipeline, MicroBatchesAddUpToTheBatch) {
  const std::string net =
      " --net alexnet --dropout 0 --epochs 2 --micro-batch ";  // no batch norm: exact but for rounding
  ASSERT_EQ(run("train", small(path("micro8"), net + "8")).code, 0);
  ASSERT_EQ(run("train", small(path("micro2"), net + "2")).code, 0);
  const std::vector<double> whole = numbers(lines(content(path("micro8/results.csv"))).back());
  const std::vector<double> parts = numbers(lines(content(path("micro2/results.csv"))).back());
  for (size_t k = 2; k < 10; ++k) EXPECT_NEAR(parts[k], whole[k], 1e-4 * std::abs(whole[k])) << "column " << k;
}

TEST_F(TrainPipeline, FrozenBackboneKeepsItsBits) {
  const std::string first = path("backbone"), second = path("head_only");
  ASSERT_EQ(run("train", small(first, "--epochs 1")).code, 0);
  const std::string weights = first + "/best.safetensors";
  ASSERT_EQ(run("train", small(second, "--epochs 1 --freeze-backbone --init " + weights)).code, 0);
  const Safetensors before = Safetensors::open(weights), after = Safetensors::open(second + "/best.safetensors");
  for (const TensorInfo& t : before.tensors()) {
    const bool same = before.read_f64(t.name) == after.read_f64(t.name);
    EXPECT_EQ(same, t.name != "fc.weight" && t.name != "fc.bias") << t.name;
  }
  const json config = json::parse(content(second + "/config.json"));
  EXPECT_EQ(config.at("init").at("sha256"), sha256_file(weights));
  EXPECT_EQ(config.at("trained_parameters"), 64 * 5 + 5);
}

TEST_F(TrainPipeline, HeadOfAnotherSizeIsReplacedAndSaidSo) {
  ASSERT_EQ(run("train", small(path("own"), "--epochs 1")).code, 0);
  const Safetensors own = Safetensors::open(path("own/best.safetensors"));
  StateDict thousand = own.state_dict();
  for (StateTensor& t : thousand) {
    if (t.info.name == "fc.weight") t = state_tensor(t.info.name, {1000, 64}, std::vector<double>(64000, 0.5));
    if (t.info.name == "fc.bias") t = state_tensor(t.info.name, {1000}, std::vector<double>(1000, 0.5));
  }
  write_safetensors(path("imagenet.safetensors"), thousand);
  const Outcome o = run("train", small(path("replaced"), "--epochs 1 --init " + path("imagenet.safetensors")));
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.err.find("fc.weight, fc.bias"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find(sha256_file(path("imagenet.safetensors"))), std::string::npos) << o.err;
}

TEST_F(TrainPipeline, DivergenceEndsInOneLineAndKeepsTheCheckpoint) {
  const Outcome o =
      run("train",
          small(path("diverges"), "--loss mse --box-unit pixel --beta 1e9 --lr 1e6 --checkpoint-minutes 0 --quiet"));
  EXPECT_EQ(o.code, 1);
  EXPECT_EQ(lines(o.err).size(), 1u) << o.err;
  EXPECT_NE(o.err.find("no longer finite"), std::string::npos) << o.err;
  EXPECT_TRUE(fs::exists(path("diverges/last.safetensors")));
}

TEST_F(TrainPipeline, RecipeIsReadAndFlagsOverrideIt) {
  std::ofstream(path("recipe.json")) << R"({"net": "resnet18", "width": 0.125, "size": 64, "epochs": 9, "batch": 16,
    "loss": "giou", "box_unit": "normalised", "alpha": 2, "beta": 1})";
  const Outcome o = run("train", cat("--data ", data(), " --out ", path("recipe"), " --recipe ", path("recipe.json"),
                                     " --epochs 1 --loss smooth_l1 --loss-set smooth_l1_beta=0.5 --device cpu"));
  ASSERT_EQ(o.code, 0) << o.err;
  const json recipe = json::parse(content(path("recipe/config.json"))).at("recipe");
  EXPECT_EQ(recipe.at("epochs"), 1);
  EXPECT_EQ(recipe.at("batch"), 16);
  EXPECT_EQ(recipe.at("loss"), "smooth_l1");
  EXPECT_EQ(recipe.at("loss_set").at("smooth_l1_beta"), 0.5);
}

TEST_F(TrainPipeline, MistakesEndInOneClearLine) {
  std::ofstream(path("unknown_key.json")) << R"({"net": "resnet18", "learning_rate": 0.1})";
  std::ofstream(path("wrong_type.json")) << R"({"net": "resnet18", "batch": "many"})";
  std::ofstream(path("not.json")) << "net = resnet18";
  std::ofstream(path("text.safetensors")) << "these are no weights";
  write_safetensors(path("alien.safetensors"), {state_tensor("some.weight", {2}, {1, 2})});
  fs::create_directories(path("occupied"));
  std::ofstream(path("occupied/notes.txt")) << "mine";
  fs::copy(data(), path("no_column"), fs::copy_options::recursive);
  std::ofstream(path("no_column/labels.csv")) << "id,fake_label,x_min,y_min,x_max,split\n";
  fs::copy(data(), path("bad_image"), fs::copy_options::recursive);
  std::ofstream(path("bad_image/images/photo5.png")) << "";
  ASSERT_EQ(run("train", small(path("earlier"), "--epochs 1")).code, 0);

  const struct {
    std::string arguments;
    int code;
    std::string says;
  } mistakes[] = {
      {small(path("x"), "--data " + path("nowhere")), 1, "nowhere"},
      {small(path("x"), "--data " + path("no_column")), 1, "labels.csv"},
      {small(path("x1"), "--data " + path("bad_image")), 1, "photo5.png"},
      {small(path("x"), "--recipe " + path("unknown_key.json")), 2, "learning_rate"},
      {small(path("x"), "--recipe " + path("wrong_type.json")), 2, "a whole number"},
      {small(path("x"), "--recipe " + path("not.json")), 2, "not.json"},
      {small(path("x"), "--recipe " + path("missing.json")), 2, "missing.json"},
      {small(path("x"), "--net resnet34"), 2, "resnet34"},
      {small(path("x"), "--loss l0"), 2, "l0"},
      {small(path("x"), "--loss-set gamma=1"), 2, "gamma"},
      {small(path("x"), "--batch 0"), 2, "batch"},
      {small(path("x"), "--micro-batch 3"), 2, "does not divide"},
      {small(path("x"), "--batch 512 --micro-batch 64"), 2, "48 training images"},
      {small(path("x"), "--colour blue"), 2, "--colour"},
      {small(path("x"), "--init " + path("missing.safetensors")), 1, "missing.safetensors"},
      {small(path("x"), "--init " + path("text.safetensors")), 1, "text.safetensors"},
      {small(path("x"), "--init " + path("alien.safetensors")), 1, "conv1.weight"},
      {small(path("occupied")), 2, "not empty"},
      {small(path("occupied"), "--resume"), 2, "not a run"},
      {small(path("earlier"), "--epochs 1"), 2, "--resume"},
      {small(path("earlier"), "--resume --lr 0.5"), 2, "lr"},
      {small(path("earlier"), "--resume --seed 4"), 2, "seed"},
      {small(path("x"), "--device cuda:9"), 1, "CUDA"},
  };
  for (const auto& mistake : mistakes) {
    const Outcome o = run("train", mistake.arguments + " --quiet");
    EXPECT_EQ(o.code, mistake.code) << mistake.arguments << "\n" << o.err;
    EXPECT_EQ(lines(o.err).size(), 1u) << mistake.arguments << "\n" << o.err;
    EXPECT_NE(o.err.find(mistake.says), std::string::npos) << mistake.arguments << "\n" << o.err;
  }
  EXPECT_FALSE(fs::exists(path("x"))) << "a refused command leaves nothing";
}

TEST_F(TrainPipeline, EvalRefusesWhatIsNoDetector) {
  std::ofstream(path("text.safetensors")) << "these are no weights";
  write_safetensors(path("alien.safetensors"), {state_tensor("some.weight", {2}, {1, 2})});
  write_safetensors(path("shapes.safetensors"), {state_tensor("fc.bias", {7}, std::vector<double>(7))},
                    {{"net", "resnet18"}, {"outputs", "5"}, {"width", "1"}, {"size", "64"}, {"box_unit", "pixel"}});
  write_safetensors(path("net.safetensors"), {state_tensor("fc.bias", {5}, std::vector<double>(5))},
                    {{"net", "transformer"}, {"outputs", "5"}, {"width", "1"}, {"size", "64"}, {"box_unit", "pixel"}});
  for (const auto& [file, says] :
       {std::pair("missing.safetensors", "missing.safetensors"), std::pair("text.safetensors", "text.safetensors"),
        std::pair("alien.safetensors", "not a detector"), std::pair("shapes.safetensors", "conv1.weight"),
        std::pair("net.safetensors", "transformer")}) {
    const Outcome o = run(
        "eval", cat("--data ", data(), " --weights ", path(file), " --out ", path("refused"), " --device cpu --quiet"));
    EXPECT_EQ(o.code, 1) << file;
    EXPECT_EQ(lines(o.err).size(), 1u) << o.err;
    EXPECT_NE(o.err.find(says), std::string::npos) << o.err;
    EXPECT_FALSE(fs::exists(path("refused"))) << file;
  }
  const Outcome o = run("eval", cat("--data ", data(), " --weights x --out y --split holdout"));
  EXPECT_EQ(o.code, 2);
  EXPECT_NE(o.err.find("holdout"), std::string::npos) << o.err;
}

}  // namespace
}  // namespace telltale
