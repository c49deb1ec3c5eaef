// tools/scripts/zoo as users run it: the real train at tiny sizes, killed and started again; and synth painting with
// all that came out.
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "data/dataset.h"
#include "data/scenes.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

// Doubled by --steps-scale 2. The last starts from the second.
constexpr const char* kNets = R"({"description": "tiny", "nets": [
  {"name": "soft_a", "seed": 1, "recipe": {"family": "csqiangwen", "width": 4, "size": 32, "batch": 2, "steps": 2, "report_steps": 1, "adversarial_weight": 0}},
  {"name": "soft_b", "seed": 2, "recipe": {"family": "official", "width": 4, "size": 32, "batch": 4, "steps": 50, "report_steps": 5, "adversarial_weight": 0,
                                           "mask_law": "several"}},
  {"name": "judged", "seed": 3, "init": "soft_b", "recipe": {"family": "official", "width": 4, "adversary_width": 4, "size": 32, "batch": 2, "steps": 2,
                                                             "report_steps": 4}}]})";
const std::vector<std::string> kNames = {"soft_a", "soft_b", "judged"};

class Zoo : public ::testing::Test {
 protected:
  Zoo() {
    fs::create_directories(photos());
    for (int i = 0; i < 24; ++i) {  // PNM has the same bytes whatever library writes PNG
      const Image scene = draw_scene(48, uint64_t(i));
      std::ofstream file(photos() + cat("/scene", 100 + i, ".ppm"), std::ios::binary);
      file << "P6\n48 48\n255\n" << std::string(scene.rgb.begin(), scene.rgb.end());
    }
    put(dir_ / "nets.json", kNets);
  }
  std::string photos() const { return dir_ / "photos"; }
  Running start(const std::string& out, const std::string& more = "") const {
    const std::string script =
        cat("exec ", TT_SOURCE_DIR, "/tools/scripts/zoo --photos ", photos(), " --out ", dir_ / out, " --nets ",
            dir_ / "nets.json", " --steps-scale 2 --device cpu --bin ", programs(), " ", more, ";");
    return Running("train", dir_ / out + "_said", script);
  }
  Outcome run(const std::string& out, const std::string& more = "") const { return start(out, more).wait(); }
  std::string in(const std::string& out, const std::string& file) const { return (dir_ / out) + "/" + file; }
  /// Whole lines of a run's metrics.jsonl; with the seconds of each step they tell one training from its repetition.
  std::vector<std::string> steps(const std::string& out, const std::string& net) const {
    std::vector<std::string> all;
    std::istringstream stream(content(in(out, "runs/" + net + "/metrics.jsonl")));
    for (std::string line; std::getline(stream, line) && !stream.eof();) all.push_back(line);
    return all;
  }
  static int64_t lines_of(const std::string& path) {
    const std::string text = content(path);
    return std::count(text.begin(), text.end(), '\n');
  }
  Folder dir_;
};

TEST_F(Zoo, KilledAndStartedAgainItGoesOnToTheSameBytesAndSynthPaintsWithAll) {
  const Outcome whole = run("one");
  ASSERT_EQ(whole.code, 0) << whole.err;
  for (size_t k = 0; k < 3; ++k)
    EXPECT_NE(whole.err.find(cat("zoo: ", k + 1, "/3 ", kNames[k], ": ")), std::string::npos) << whole.err;

  Running killed = start("set");
  killed.wait_for(
      [&] { return fs::exists(in("set", "runs/soft_b/last.safetensors")) && steps("set", "soft_b").size() >= 12; });
  killed.signal(SIGKILL);
  ASSERT_EQ(killed.wait().code, 128 + SIGKILL);
  const std::vector<std::string> first = steps("set", "soft_a"), begun = steps("set", "soft_b");
  ASSERT_GE(begun.size(), 12u);
  EXPECT_FALSE(fs::exists(in("set", "soft_b.safetensors"))) << "killed in the midst of it";

  const Outcome again = run("set");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("1/3 soft_a: done before: 4 steps"), std::string::npos) << again.err;
  EXPECT_TRUE(steps("set", "soft_a") == first);
  const std::vector<std::string> went_on = steps("set", "soft_b");
  ASSERT_EQ(went_on.size(), 100u);
  for (size_t k = 0; k < 10; ++k) EXPECT_EQ(went_on[k], begun[k]) << "a step before the last checkpoint was done again";
  std::string all;
  for (const std::string& name : kNames) {
    const std::string weights = in("set", name + ".safetensors");
    ASSERT_TRUE(fs::exists(weights)) << name;
    EXPECT_TRUE(content(weights) == content(in("one", name + ".safetensors"))) << name;
    EXPECT_EQ(Safetensors::open(weights).info(name == "soft_a" ? "coarse.0.conv2d.weight" : "conv1.conv.weight").dtype,
              FileDType::f16);
    all += (all.empty() ? "" : ",") + weights;
  }
  EXPECT_NE(again.out.find(all), std::string::npos) << "what synth is to be given: " << again.out;

  // The table: name, family, width, parameters, steps.
  std::istringstream table(content(in("set", "zoo.csv")));
  std::string row;
  std::getline(table, row);
  EXPECT_EQ(row, "name,family,width,parameters,steps,seconds,psnr,mean_fill_psnr,contrast");
  for (const char* begins : {"soft_a,csqiangwen,4,", "soft_b,official,4,", "judged,official,4,"}) {
    std::getline(table, row);
    EXPECT_TRUE(row.starts_with(begins)) << row;
  }

  const Outcome third = run("set");
  EXPECT_EQ(third.code, 0) << third.err;
  EXPECT_TRUE(steps("set", "judged").size() == 4);

  const auto synth = [&](const std::string& out, const std::string& more) {
    return Running(cat("synth --photos ", photos(), " --out ", dir_ / out, " --weights ", all,
                       " --size 32 --format png --device cpu --threads 1 --quiet ", more),
                   dir_ / out + "_said");
  };
  const Outcome painted = synth("data", "--painter deepfill").wait();
  ASSERT_EQ(painted.code, 0) << painted.err;
  const Dataset data = Dataset::open(dir_ / "data");
  std::set<std::string> seen;
  for (const Label& label : data.labels())
    if (label.fake) seen.insert(label.painter);
  EXPECT_EQ(seen, (std::set<std::string>{"deepfill:soft_a", "deepfill:soft_b", "deepfill:judged"}));
  EXPECT_NE(content(dir_ / "data/dataset.json").find("csqiangwen,official"), std::string::npos);

  // Every painter beside them, in two shards of which one is killed: the bytes of one run.
  const std::string every =
      "--painter all:3,deepfill:12 --blend hard,feather,poisson --fill-scale .3 --mask-distribution any --seed 2";
  ASSERT_EQ(synth("whole", every).wait().code, 0);
  Running shard = synth("parts", every + " --shard 1/2");
  shard.wait_for([&] { return lines_of(dir_ / "parts/psnr-1-of-2.csv") >= 4; });
  shard.signal(SIGKILL);
  shard.wait();
  for (const char* part : {" --shard 2/2", " --shard 1/2", ""})
    ASSERT_EQ(synth("parts", every + part).wait().code, 0) << part;
  EXPECT_TRUE(tree(dir_ / "parts") == tree(dir_ / "whole"));
  const std::string labels = content(dir_ / "whole/labels.csv");
  for (const std::string& name : kNames) EXPECT_NE(labels.find("deepfill:" + name), std::string::npos) << labels;
}

TEST_F(Zoo, MistakesEndInOneClearLine) {
  ASSERT_EQ(run("set", "--only soft_a").code, 0);
  EXPECT_FALSE(fs::exists(in("set", "runs/soft_b")));
  const std::string nets = kNets;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = nets;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const struct {
    std::string list, more;
    int code;
    std::string says;
  } mistakes[] = {
      {nets, "--only nobody", 2, "nobody"},
      {nets, "--steps-scale 0", 2, "must be above 0"},
      {nets, "--photos " + (dir_ / "nowhere") + " --only soft_b", 1, "nowhere"},
      {nets, "--only soft_a --steps-scale 3", 1, "begun otherwise"},
      {with("\"seed\": 1", "\"seed\": 7"), "--only soft_a", 1, "begun otherwise"},
      {with("\"init\": \"soft_b\"", "\"init\": \"soft_c\""), "", 2, "no earlier entry names"},
      {with("\"soft_b\"", "\"soft_a\""), "", 2, "no two nets have the same"},
      {with("\"soft_b\"", "\"../b\""), "", 2, "a name is of letters"},
      {with("\"width\": 4", "\"width\": 4, \"mask_law\": \"blob\""), "--out " + (dir_ / "x"), 2, "blob"},
      {"no list", "", 1, "not a list of nets"},
  };
  for (const auto& m : mistakes) {
    put(dir_ / "nets.json", m.list);
    const Outcome o = run("set", m.more);
    EXPECT_EQ(o.code, m.code) << m.says << "\n" << o.err;
    EXPECT_EQ(o.err_lines(), 1) << m.says << "\n" << o.err;
    EXPECT_NE(o.err.find(m.says), std::string::npos) << o.err;
  }
}

}  // namespace
}  // namespace telltale
