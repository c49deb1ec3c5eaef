// infer with a locator as users run it: trained and calibrated by the programs, on pictures of every size.
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "data/boxes.h"
#include "data/codec.h"
#include "data/scenes.h"
#include "kernels/device/philox.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class InferLocator : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fs::create_directories(in("photos"));
    for (const auto& [name, width, height] :
         {std::tuple{"a_64x64", 64, 64}, {"b_101x77", 101, 77}, {"c_20x20", 20, 20}, {"d_300x90", 300, 90}}) {
      const Image scene = draw_scene(std::max(width, height), 5);
      write_png(in("photos/") + name + ".png", crop(scene, {0, 0, width, height}));
    }
    must("synth --scenes 150 --size 32 --width 2 --weights random:1 --split .4,.6,0 --out " + in("data"));
    must("train --task locate --net trace_locator --data " + in("data") + " --out " + in("run") +
         " --width 8 --window 0 --batch 12 --epochs 2 --lr 0.01 --seed 5");
    const Outcome o = must("eval --data " + in("data") + " --split validation --calibrate " + in("own.safetensors") +
                           " --weights " + in("run/best.safetensors"));
    EXPECT_NE(o.out.find("expected calibration error"), std::string::npos) << o.out;
    EXPECT_NE(o.out.find("| top_1 "), std::string::npos) << o.out;
  }
  static void TearDownTestSuite() { fs::remove_all(dir()); }
  static std::string dir() { return testing::TempDir() + "infer_locator_" + std::to_string(getpid()); }
  static std::string in(const std::string& name) { return dir() + "/" + name; }
  static Outcome run(const std::string& line) {
    return Running(line + " --quiet --device cpu --threads 1", in("out")).wait();
  }
  static Outcome must(const std::string& line) {
    Outcome o = run(line);
    EXPECT_EQ(o.code, 0) << line << "\n" << o.err;
    return o;
  }
  static std::vector<json> lines(const std::string& text) {
    std::vector<json> objects;
    std::istringstream from(text);
    for (std::string line; std::getline(from, line);) objects.push_back(json::parse(line));
    return objects;
  }
  static std::string own() { return " --weights " + in("own.safetensors"); }
};

TEST_F(InferLocator, SaysWhatItFindsInPicturesOfEverySize) {
  const Outcome o = must("infer " + in("photos") + own() + " --masks " + in("maps") + " --annotate " + in("drawn") +
                         " --json " + in("said.jsonl") + " --threshold 0");
  EXPECT_EQ(o.out + o.err, "");
  const std::vector<json> said = lines(content(in("said.jsonl")));
  ASSERT_EQ(said.size(), 4u);
  for (const json& j : said) {
    const std::string path = j["path"];
    const Image photo = read_image(path);
    EXPECT_EQ(j["width"], photo.width);
    EXPECT_EQ(j["height"], photo.height);
    EXPECT_TRUE(j["fake_probability"] >= 0 && j["fake_probability"] <= 1) << j;
    EXPECT_TRUE(j["reliability"] > 0 && j["reliability"] <= 1) << j;
    EXPECT_EQ(j["verdict"] == "uncertain", j.contains("why")) << j;
    EXPECT_EQ(j["weights_sha256"].get<std::string>().size(), 64u);
    const std::string stem = fs::path(path).stem();
    EXPECT_EQ(j["mask"], in("maps/" + stem + ".png"));
    const Grey mask = read_grey(j["mask"]);
    ASSERT_TRUE(mask.width == photo.width && mask.height == photo.height) << j;
    int64_t lit = 0, area_of_all = 0, last = std::numeric_limits<int64_t>::max();
    for (const uint8_t v : mask.pixels) lit += v >= 128;
    for (const json& r : j["regions"]) {
      const Box b{r["box"][0], r["box"][1], r["box"][2], r["box"][3]};
      const int64_t cells = r["area"];
      EXPECT_TRUE(inside(b, photo.width, photo.height)) << j;
      EXPECT_LE(cells, last) << "the largest comes first";
      EXPECT_GE(r["probability"], 0.5);
      last = cells;
      area_of_all += cells;
    }
    const bool whole_cells = photo.width % 2 == 0 && photo.height % 2 == 0;
    EXPECT_TRUE(!whole_cells || j["regions"].size() == 32 || area_of_all == lit) << lit << " lit pixels of " << j;
    const Image drawn = read_image(in("drawn/" + stem + ".jpg"));
    EXPECT_GT(mean_difference(photo, drawn), 0.5) << "nothing was drawn";
  }
  EXPECT_EQ(said[2]["verdict"], "uncertain");
  EXPECT_NE(said[2]["why"].dump().find("too small (20x20"), std::string::npos) << said[2];
  EXPECT_EQ(said[0].dump().find("too small"), std::string::npos) << "64 pixels are enough";
  must("infer " + in("photos") + own() + " --masks " + in("maps") + " --annotate " + in("drawn") + " --json " +
       in("again.jsonl"));
}

TEST_F(InferLocator, AnswersByItsCalibration) {
  const json calibration = json::parse(Safetensors::open(in("own.safetensors")).metadata().at("calibration"));
  const double threshold = calibration["threshold"], real_below = calibration["real_below"];
  EXPECT_GE(threshold, real_below);
  for (const json& j : lines(must("infer " + in("photos") + own()).out)) {
    const double p = j["fake_probability"];
    const bool doubtful = p >= real_below && p < threshold;
    const bool said_so = j.dump().find("not clear enough") != std::string::npos;
    EXPECT_EQ(said_so, doubtful) << j;
    EXPECT_TRUE(j.contains("why") || j["verdict"] == (p >= threshold ? "fake" : "real")) << j;
    EXPECT_EQ(j["box"].is_null(), j["verdict"] != "fake" || j["regions"].empty()) << j;
  }
  const Outcome measured = must("eval --data " + in("data") + " --split validation" + own() + " --out " + in("report"));
  const json report = json::parse(content(in("report/report.json")));
  EXPECT_EQ(report["calibrated"], true);
  EXPECT_EQ(report["threshold"], threshold);
  EXPECT_NE(measured.out.find("calibration error"), std::string::npos);
  const Outcome whole =
      must("eval --data " + in("data") + " --split all --calibrate " + in("whole.safetensors") + own());
  EXPECT_NE(whole.out.find("Fitted on 75 fakes and 75 reals of split all"), std::string::npos) << whole.out;
  const Outcome plain = must("infer " + in("photos") + " --weights " + in("run/best.safetensors"));
  EXPECT_EQ(plain.out.find("not clear enough"), std::string::npos)
      << "without a calibration there are no two thresholds";
}

TEST_F(InferLocator, TheOneThatShipsIsTakenWhereNoneIsNamed) {
  // A program finds what lies in a folder above it.
  fs::create_directories(in("installed/bin"));
  fs::copy_file(programs() + "/infer", in("installed/bin/infer"), fs::copy_options::skip_existing);
  const std::string photo = in("photos/a_64x64.png"), before = programs();
  const auto installed = [&](const std::string& arguments) {
    setenv("TT_PROGRAMS", in("installed/bin").c_str(), 1);
    const Outcome o = run("infer " + arguments);
    setenv("TT_PROGRAMS", before.c_str(), 1);
    return o;
  };
  const Outcome none = installed(photo);
  EXPECT_EQ(none.code, 2);
  EXPECT_EQ(none.err_lines(), 1) << none.err;
  EXPECT_NE(none.err.find("give --weights FILE"), std::string::npos) << none.err;
  fs::create_directories(in("installed/weights"));
  fs::copy_file(in("own.safetensors"), in("installed/weights/locator.safetensors"));
  const Outcome some = installed(photo);
  EXPECT_EQ(some.code, 0) << some.err;
  EXPECT_EQ(lines(some.out).at(0)["weights_sha256"], lines(must("infer " + photo + own()).out).at(0)["weights_sha256"]);
}

/// Grain over drawn scenes, saved as JPEG, cut off that JPEG's grid, a square of it painted anew, and saved again.
TEST_F(InferLocator, TheOneThatShipsFindsAPatchWithoutThePicturesPast) {
  fs::create_directories(in("cut"));
  const Box patch{96, 80, 200, 176};
  for (int i = 0; i < 4; ++i) {
    Random random(uint64_t(i), 0);
    const auto grainy = [&](uint64_t seed) {
      Image scene = draw_scene(296, seed);
      for (uint8_t& v : scene.rgb) v = uint8_t(std::clamp(std::lround(v + 6 * random.normal()), 0l, 255l));
      return scene;
    };
    const Image saved = decode_image(encode_jpeg(grainy(uint64_t(i)), 72), "a picture");
    Image cut = crop(saved, {3, 5, 291, 293});
    const auto save = [&](const char* name) {
      const std::vector<uint8_t> bytes = encode_jpeg(cut, 92);
      write_atomically(in(cat("cut/", i, name)), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    };
    save("_whole.jpg");
    const Image other = grainy(uint64_t(i + 50));
    for (int y = patch.y_min; y < patch.y_max; ++y)
      std::copy_n(&other.rgb[(size_t(y) * size_t(other.width) + size_t(patch.x_min)) * 3], size_t(patch.width()) * 3,
                  &cut.rgb[(size_t(y) * size_t(cut.width) + size_t(patch.x_min)) * 3]);
    save("_painted.jpg");
  }
  for (const json& j : lines(must("infer " + in("cut")).out)) {
    const std::string path = j["path"];
    if (path.find("whole") != std::string::npos) {
      EXPECT_EQ(j["verdict"], "real") << j;
    } else {
      ASSERT_EQ(j["verdict"], "fake") << j;
      const std::vector<int> b = j["box"];
      EXPECT_GT(iou({b[0], b[1], b[2], b[3]}, patch), 0.7) << j;
    }
  }
}

TEST_F(InferLocator, MistakesEndInOneClearLine) {
  must("train --data " + in("data") + " --out " + in("detector") +
       " --net resnet18 --width 0.125 --size 32 --batch 8 --epochs 1");
  const std::string detector = " --weights " + in("detector/best.safetensors"), photo = in("photos/a_64x64.png");
  EXPECT_EQ(must("infer " + photo + detector).out.find("verdict"), std::string::npos)
      << "a detector's line is as it was";
  const struct {
    std::string line;
    int code;
    const char* says;
  } mistakes[] = {
      {"infer " + photo + detector + " --masks " + in("x"), 2, "a detector, which has no map"},
      {"infer " + in("photos") + own() + " --masks " + in("photos"), 2, "folder of the photographs"},
      {"eval --fills " + in("data") + detector, 1, "fills.tsv"},
      {"eval --data " + in("data") + " --split validation --calibrate " + in("x.safetensors") + detector, 1,
       "a locator is wanted here"},
      {"train --data " + in("data") + " --out " + in("x") + " --net resnet18 --size 32 --init " + in("own.safetensors"),
       1, "not the weights of a resnet18"},
      {"eval --data " + in("data") + " --split train --calibrate " + in("x.safetensors") + own(), 2,
       "too sure of itself"},
      {"eval --data " + in("data") + " --split validation --calibrate " + in("own.safetensors") + own(), 2,
       "--calibrate"},
      {"eval --data " + in("data") + " --split validation --calibrate " + in("x.onnx") + own(), 2, ".safetensors"},
  };
  for (const auto& mistake : mistakes) {
    const Outcome o = run(mistake.line);
    EXPECT_EQ(o.code, mistake.code) << mistake.line << "\n" << o.err;
    EXPECT_EQ(o.err_lines(), 1) << mistake.line << "\n" << o.err;
    EXPECT_NE(o.err.find(mistake.says), std::string::npos) << mistake.line << "\n" << o.err;
  }
  EXPECT_FALSE(fs::exists(in("x")));
  EXPECT_FALSE(fs::exists(in("x.safetensors")));
}

}  // namespace
}  // namespace telltale
