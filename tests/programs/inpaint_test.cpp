// train --task inpaint as users run it: the real program on scenes drawn here, interrupted, resumed, fed nonsense; and
// synth painting with what came out.
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/codec.h"
#include "data/dataset.h"
#include "data/mask.h"
#include "data/scenes.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) all.push_back(line);
  return all;
}

/// Rows of a CSV without its header.
std::vector<std::vector<double>> table(const std::string& path) {
  std::vector<std::vector<double>> rows;
  const std::vector<std::string> all = lines(content(path));
  for (size_t i = 1; i < all.size(); ++i) {
    rows.emplace_back();
    std::istringstream stream(all[i]);
    for (std::string cell; std::getline(stream, cell, ',');) rows.back().push_back(std::stod(cell));
  }
  return rows;
}

class InpaintPipeline : public ::testing::Test {
 protected:
  InpaintPipeline() {
    fs::create_directories(photos());
    draw(0, 24);
  }
  // Which are held out goes by a hash of the files: PNM has the same bytes whatever library writes PNG.
  void draw(int first, int end) const {
    for (int i = first; i < end; ++i) {
      const Image scene = draw_scene(48, uint64_t(i));
      std::ofstream file(photos() + cat("/scene", 100 + i, ".ppm"), std::ios::binary);
      file << "P6\n48 48\n255\n" << std::string(scene.rgb.begin(), scene.rgb.end());
    }
  }
  std::string photos() const { return dir_ / "photos"; }
  std::string in(const std::string& run, const std::string& file) const { return (dir_ / run) + "/" + file; }
  /// Small enough for seconds; of flags given twice the last counts.
  std::string line(const std::string& run, const std::string& more = "") const {
    return cat("train --task inpaint --photos ", photos(), " --out ", dir_ / run,
               " --width 4 --adversary-width 4 --size 32 --batch 4 --lr 0.002 --steps 8 --report-steps 4"
               " --warmup-l1-steps 3 --validation-photos 4 --device cpu --threads 1 --seed 3 ",
               more);
  }
  Outcome run(const std::string& command) const { return Running(command, dir_ / "run").wait(); }
  void expect_same_run(const std::string& a, const std::string& b) const {
    for (const char* file : {"last.safetensors", "best.safetensors", "results.csv", "samples/step_0000008.png"}) {
      EXPECT_FALSE(content(in(a, file)).empty()) << file;
      EXPECT_TRUE(content(in(a, file)) == content(in(b, file))) << file << " differs";
    }
    EXPECT_EQ(lines(content(in(a, "metrics.jsonl"))).size(), lines(content(in(b, "metrics.jsonl"))).size());
  }
  Folder dir_;
};

TEST_F(InpaintPipeline, LearnsAndSynthPaintsWithIt) {
  const Outcome trained = run(line("learns", "--steps 80 --report-steps 30 --warmup-l1-steps 50"));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto rows = table(in("learns", "results.csv"));
  ASSERT_EQ(rows.size(), 4u);  // after steps 30, 50 (the discriminator joins), 60 and 80
  EXPECT_LT(rows[1][2], 0.75 * rows[0][2]) << "the refined image's absolute error falls";
  EXPECT_EQ(rows[1][4], 0) << "no discriminator in the first steps";
  EXPECT_GT(rows[2][4], 0.5);
  const Image sheet = read_image(in("learns", "samples/step_0000080.png"));
  EXPECT_GT(sheet.width, 4 * 32);

  const Safetensors best = Safetensors::open(in("learns", "best.safetensors"));
  EXPECT_EQ(best.metadata().at("family"), "csqiangwen");
  EXPECT_EQ(best.info("coarse.0.conv2d.weight").dtype, FileDType::f16);
  const Outcome painted =
      run(cat("synth --photos ", photos(), " --out ", dir_ / "set", " --weights ", in("learns", "best.safetensors"),
              " --size 32 --mask-law brush --format png --device cpu --quiet"));
  ASSERT_EQ(painted.code, 0) << painted.err;
  const Dataset set = Dataset::open(dir_ / "set");
  EXPECT_EQ(set.info().fakes, 12);
  for (size_t i = 0; i < set.labels().size(); ++i) {
    if (!set.labels()[i].fake) continue;
    const Grey mask = read_grey(set.mask_path(int(i)));
    EXPECT_EQ(mask, draw_mask(MaskLaw::brush, 32, 32, 0, set.labels()[i].id));
    EXPECT_EQ(set.labels()[i].box, bounds_of(mask));
  }
}

TEST_F(InpaintPipeline, TheOfficialFamilyLearnsToo) {
  draw(24, 240);  // a twentieth is held out: of one picture alone the mean colour may be as near as any paint
  for (const std::string family : {"official", "official_torch"}) {
    const std::string flags =
        "--family " + family + " --adversarial-weight 0 --validation-photos 12 --report-steps 300 --seed 3 --steps ";
    ASSERT_EQ(run(line(family, flags + "300")).code, 0);
    const Outcome resumed = run(line(family, flags + "600 --resume"));
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    const auto rows = table(in(family, "results.csv"));
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_LT(rows[1][2], 0.9 * rows[0][2]) << family << ": the refined image's absolute error falls";
    EXPECT_GT(rows[1][7], rows[1][10] + 2) << family << ": what it paints is nearer than the mean colour, in decibels";
    const std::string best = in(family, "best.safetensors");
    EXPECT_EQ(Safetensors::open(best).metadata().at("family"), family);
    const Outcome painted = run(cat("synth --scenes 2 --split 1,1,0 --out ", dir_ / family + "set", " --weights ", best,
                                    " --size 32 --device cpu"));
    EXPECT_EQ(painted.code, 0) << painted.err;
    EXPECT_NE(painted.err.find(cat(": ", family, ", width 4")), std::string::npos) << painted.err;
  }
  const Outcome other = run(line("x", "--quiet --init " + in("official", "best.safetensors")));
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("not a generator of csqiangwen, width 4"), std::string::npos) << other.err;
}

TEST_F(InpaintPipeline, APerceptualLossJoins) {
  // A detector of ours serves as the net that looks: any VGG11 does.
  ASSERT_EQ(run(cat("synth --photos ", photos(), " --out ", dir_ / "seen", " --size 32 --device cpu --quiet")).code, 0);
  ASSERT_EQ(run(cat("train --data ", dir_ / "seen", " --net vgg11 --width 0.125 --epochs 1 --batch 4 --out ",
                    dir_ / "vgg", " --device cpu --quiet"))
                .code,
            0);
  const std::string with = "--adversarial-weight 0 --perceptual-weight 1";
  const Outcome alone = run(line("alone", with));
  EXPECT_EQ(alone.code, 2);
  EXPECT_NE(alone.err.find("needs perceptual_net"), std::string::npos) << alone.err;
  const std::string net = " --perceptual-net " + in("vgg", "best.safetensors");
  const Outcome trained = run(line("looks", with + net));
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(lines(content(in("looks", "metrics.jsonl"))).back().find("\"perceptual\":"), std::string::npos);
  ASSERT_EQ(run(line("plain", "--adversarial-weight 0")).code, 0);
  EXPECT_FALSE(content(in("looks", "best.safetensors")) == content(in("plain", "best.safetensors")));
}

TEST_F(InpaintPipeline, TextureIsTrainedWhileTheCoarseStageStays) {
  ASSERT_EQ(run(line("start", "--adversarial-weight 0")).code, 0);
  const std::string begin = in("start", "best.safetensors");
  const std::string with =
      "--size 48 --max-crop 1 --min-crop 1 --trained refined --l1-weight 0 --texture-weight 5"
      " --adversary-layers 3 --adversary-grain 8 --warmup-l1-steps 0 --keep-within-db 100 --init " +
      begin;
  const Outcome o = run(line("grain", with));
  ASSERT_EQ(o.code, 0) << o.err;
  for (const std::string& step : lines(content(in("grain", "metrics.jsonl")))) {
    EXPECT_GT(nlohmann::json::parse(step).at("texture"), 0.0) << step;
  }
  const Safetensors before = Safetensors::open(begin), after = Safetensors::open(in("grain", "best.safetensors"));
  EXPECT_EQ(after.metadata().at("step"), "8") << "kept although its PSNR need not be the highest";
  const StateDict old = before.state_dict(), now = after.state_dict();
  ASSERT_EQ(old.size(), now.size());
  int same = 0, moved = 0;
  for (size_t i = 0; i < old.size(); ++i) {
    const std::string& name = old[i].info.name;
    ASSERT_EQ(name, now[i].info.name);
    const bool equal = old[i].read() == now[i].read();
    EXPECT_EQ(equal, name.starts_with("coarse.")) << name;
    ++(equal ? same : moved);
  }
  EXPECT_GT(same, 0);
  EXPECT_GT(moved, 0);
  // The discriminator's constant filter is in the checkpoint, and a run goes on with it to the same bytes.
  ASSERT_EQ(run(line("parts", with + " --steps 4 --schedule constant")).code, 0);
  ASSERT_EQ(run(line("parts", with + " --schedule constant --resume")).code, 0);
  expect_same_run("grain", "parts");
}

TEST_F(InpaintPipeline, InterruptedAndKilledRunsEndByteIdentical) {
  ASSERT_EQ(run(line("whole")).code, 0);
  for (const int signal : {SIGINT, SIGKILL}) {
    const std::string name = cat("stopped", signal);
    for (size_t steps = 2; steps <= 6; steps += 4) {  // once before, once after the discriminator joined
      const std::string resume = steps == 2 ? "" : " --resume";
      Running started(line(name, "--checkpoint-minutes 0" + resume), dir_ / "stopped");
      started.wait_for([&] { return lines(content(in(name, "metrics.jsonl"))).size() >= steps; });
      started.signal(signal);
      const Outcome o = started.wait();
      if (signal == SIGINT) {
        EXPECT_TRUE(o.code == 0 || o.err.find("--resume") != std::string::npos) << o.err;
      }
    }
    const Outcome o = run(line(name, "--resume"));
    ASSERT_EQ(o.code, 0) << o.err;
    expect_same_run("whole", name);
  }
}

TEST_F(InpaintPipeline, ARecipeIsReadAndARunCanBeLengthened) {
  std::ofstream(dir_ / "recipe.json") << R"({"width": 2, "adversarial_weight": 0, "hole_weight": 3})";
  const std::string recipe = "--recipe " + (dir_ / "recipe.json");
  // Flags of `line` override the recipe's width.
  const Outcome o = run(line("longer", recipe + " --steps 4"));
  ASSERT_EQ(o.code, 0) << o.err;
  const auto config = nlohmann::json::parse(content(in("longer", "config.json")));
  EXPECT_EQ(config.at("recipe").at("width"), 4);
  EXPECT_EQ(config.at("recipe").at("adversarial_weight"), 0);
  EXPECT_EQ(run(line("longer", recipe + " --resume")).code, 0);
  EXPECT_EQ(table(in("longer", "results.csv")).size(), 2u);
  // Its weights can start another run.
  const Outcome next = run(line("next", "--steps 1 --init " + in("longer", "best.safetensors")));
  EXPECT_EQ(next.code, 0) << next.err;
}

TEST_F(InpaintPipeline, APhotographThatCannotBeReadIsReplaced) {
  std::ofstream(photos() + "/scene050.png") << "no picture";
  const Outcome o = run(line("gap", "--epochs 2 --seed 5"));
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.err.find("scene050.png"), std::string::npos) << o.err;
}

/// Which one is held out goes by the seed: sooner or later it is the broken one.
TEST_F(InpaintPipeline, AHeldOutPhotographThatCannotBeReadIsReplaced) {
  for (int i = 3; i < 24; ++i) fs::remove(photos() + cat("/scene", 100 + i, ".ppm"));
  std::ofstream(photos() + "/broken.ppm") << "P6\n48 48\n255\nends here";
  for (int seed = 0; seed < 6; ++seed) {
    const Outcome o =
        run(line(cat("seed", seed), cat("--validation-photos 1 --steps 1 --report-steps 1 --seed ", seed)));
    EXPECT_EQ(o.code, 0) << seed << ": " << o.err;
    EXPECT_NE(o.err.find("broken.ppm"), std::string::npos) << seed << ": " << o.err;
    EXPECT_EQ(table(in(cat("seed", seed), "results.csv")).size(), 1u) << seed;
  }
}

TEST_F(InpaintPipeline, MistakesEndInOneClearLine) {
  ASSERT_EQ(run(line("earlier", "--steps 1")).code, 0);
  fs::create_directories(dir_ / "none");
  std::ofstream(dir_ / "text.safetensors") << "these are no weights";
  const struct {
    std::string command;
    int code;
    std::string says;
  } mistakes[] = {
      {line("x", "--photos " + (dir_ / "nowhere")), 1, "nowhere"},
      {line("x", "--photos " + (dir_ / "none")), 1, "no photographs"},
      {line("x", "--width 3"), 2, "csqiangwen takes multiples of 2"},
      {line("x", "--family official --width 6"), 2, "official takes multiples of 4"},
      {line("x", "--family deepfill_v3"), 2, "family"},
      {line("x", "--size 36"), 2, "multiple of 8"},
      {line("x", "--mask-law blob"), 2, "brush"},
      {line("x", "--mask-area-min 0.9"), 2, "mask_area_max"},
      {line("x", "--batch 0"), 2, "batch"},
      {line("x", "--texture-weight 1"), 2, "takes at least 48"},
      {line("x", "--max-crop 0.2"), 2, "larger than max_crop"},
      {line("x", "--adversary-layers 7"), 2, "adversary_layers"},
      {line("x", "--trained coarse"), 2, "refined"},
      {line("x", "--l1-weight 0 --adversarial-weight 0"), 2, "nothing would train"},
      {line("x", "--init " + (dir_ / "text.safetensors")), 1, "text.safetensors"},
      {line("x", "--init " + in("earlier", "best.safetensors") + " --width 6"), 1, "width 6"},
      {line("earlier"), 2, "--resume"},
      {line("earlier", "--resume --lr 0.5"), 2, "lr"},
      {line("x", "--data somewhere"), 2, "--data"},
      {"train --task paint", 2, "detect, inpaint or locate"},
      {"train --task inpaint --out " + (dir_ / "x"), 2, "--photos"},
  };
  for (const auto& m : mistakes) {
    const Outcome o = run(m.command + " --quiet");
    EXPECT_EQ(o.code, m.code) << m.command << "\n" << o.err;
    EXPECT_EQ(o.err_lines(), 1) << m.command << "\n" << o.err;
    EXPECT_NE(o.err.find(m.says), std::string::npos) << m.command << "\n" << o.err;
  }
  EXPECT_FALSE(fs::exists(dir_ / "x")) << "a refused command leaves nothing";
}

TEST_F(InpaintPipeline, DivergenceEndsInOneLine) {
  ASSERT_EQ(run(line("sound", "--steps 1 --adversarial-weight 0")).code, 0);
  const Safetensors sound = Safetensors::open(in("sound", "best.safetensors"));
  StateDict huge;
  for (const StateTensor& t : sound.state_dict()) {
    std::vector<double> values = t.read();
    for (double& v : values) v *= 1e20;
    huge.push_back(state_tensor(t.info.name, t.info.shape, values));
  }
  write_safetensors(dir_ / "huge.safetensors", huge);
  const Outcome o = run(line("diverges", "--quiet --init " + (dir_ / "huge.safetensors")));
  EXPECT_EQ(o.code, 1);
  EXPECT_EQ(o.err_lines(), 1) << o.err;
  EXPECT_NE(o.err.find("no longer finite"), std::string::npos) << o.err;
}

}  // namespace
}  // namespace telltale
