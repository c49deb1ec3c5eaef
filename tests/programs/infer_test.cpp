// infer as users run it: the real program on a detector's weights file, good files and bad ones.
#include <nlohmann/json.hpp>

#include "data/image.h"
#include "engine/program.h"
#include "models/detector/detector.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"
#include "weights/names.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kNetSize = 64;

class Infer : public ::testing::Test {
 protected:
  Infer() {
    const DetectorInfo info{.net = "resnet18", .width = 0.125, .size = kNetSize};
    const PictureGraph net = detector_graph(info, 1, kNetSize);
    Program program(net.graph, stream_, {.seed = 5});
    write_safetensors(weights(), params_dict(stream_, program.params()), detector_metadata(info));
    write_png(dir_ / "in/a.png", test_picture(kNetSize, kNetSize, 1));
    write_png(dir_ / "in/b.png", test_picture(150, 90, 2));
    write_png(dir_ / "in/sub/a.png", test_picture(40, 200, 3));
  }
  std::string weights() const { return dir_ / "net.safetensors"; }
  Outcome run(const std::string& arguments) const {
    return Running("infer --quiet --device cpu --threads 1 " + arguments, dir_ / "run").wait();
  }
  Outcome look(const std::string& arguments) const { return run("--weights " + weights() + " " + arguments); }
  static std::vector<json> lines(const std::string& text) {
    std::vector<json> objects;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) objects.push_back(json::parse(line));
    return objects;
  }

  struct Made {  // before stream_ and the constructor's body: the folders must be there
    explicit Made(const Folder& dir) { fs::create_directories(dir / "in/sub"); }
  };
  Folder dir_;
  Made made_{dir_};
  Stream stream_ = Stream::cpu(1);
};

TEST_F(Infer, SaysWhatTheDetectorSaysInInputOrder) {
  const std::vector<std::string> paths = {dir_ / "in/b.png", dir_ / "in/sub/a.png", dir_ / "in/a.png"};
  const Outcome r = look(paths[0] + " " + paths[1] + " " + paths[2] + " --threshold 0 --batch 2");
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.err, "");
  const std::vector<json> said = lines(r.out);
  ASSERT_EQ(said.size(), 3u);
  Detector detector(weights(), stream_, {});
  for (size_t i = 0; i < 3; ++i) {
    const Image image = read_image(paths[i]);
    const Verdict v = detector.run(resize(image, kNetSize, kNetSize, Filter::bilinear).rgb, 1)[0];
    EXPECT_EQ(said[i]["path"], paths[i]);
    EXPECT_EQ(said[i]["width"], image.width);
    EXPECT_EQ(said[i]["height"], image.height);
    EXPECT_NEAR(said[i]["fake_probability"].get<double>(), v.fake_probability(), 1e-5);
    const Box b = v.pixel_box(image.width, image.height);
    EXPECT_EQ(said[i]["box"], (json{b.x_min, b.y_min, b.x_max, b.y_max}));
    for (size_t k = 0; k < 5; ++k) EXPECT_NEAR(said[i]["raw"][k].get<double>(), v.raw[k], 1e-5);
    EXPECT_EQ(said[i]["weights_sha256"], detector.weights_sha256());
    EXPECT_GE(said[i]["ms"].get<double>(), 0);
    EXPECT_EQ(said[i].size(), 8u);
  }
}

TEST_F(Infer, BelowTheThresholdThereIsNoBox) {
  const Outcome r = look((dir_ / "in/a.png") + " --threshold 1");
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(lines(r.out).at(0)["box"].is_null());
}

TEST_F(Infer, TakesFoldersAndPatterns) {
  const Outcome folder = look(dir_ / "in");
  ASSERT_EQ(folder.code, 0) << folder.err;
  ASSERT_EQ(lines(folder.out).size(), 3u);
  const Outcome pattern = look("'" + (dir_ / "in/*.png") + "' --json " + (dir_ / "said.jsonl"));
  ASSERT_EQ(pattern.code, 0) << pattern.err;
  EXPECT_EQ(pattern.out, "");
  const auto said = lines(content(dir_ / "said.jsonl"));
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[1]["path"], dir_ / "in/b.png");
}

TEST_F(Infer, UnreadableFilesAreNamedAndTheRestGoOn) {
  put(dir_ / "in/broken.jpg", "not a picture");
  const Outcome r = look((dir_ / "in/broken.jpg") + " " + (dir_ / "in/none.png") + " " + (dir_ / "in/a.png"));
  EXPECT_EQ(r.code, 1);
  EXPECT_EQ(r.err_lines(), 3) << r.err;
  const auto said = lines(r.out);
  ASSERT_EQ(said.size(), 3u);
  for (int i : {0, 1}) {
    EXPECT_EQ(said[size_t(i)].size(), 2u);
    EXPECT_NE(said[size_t(i)]["error"].get<std::string>().find(said[size_t(i)]["path"]), std::string::npos);
  }
  EXPECT_TRUE(said[2].contains("fake_probability"));
}

TEST_F(Infer, DrawsWhatItSays) {
  const Outcome r = look((dir_ / "in") + " --threshold 0 --annotate " + (dir_ / "drawn"));
  ASSERT_EQ(r.code, 0) << r.err;
  for (const auto& [name, from] :
       {std::pair("a.jpg", "in/a.png"), {"b.jpg", "in/b.png"}, {"a_2.jpg", "in/sub/a.png"}}) {
    const Image before = read_image(dir_ / from), after = read_image(dir_ / (cat("drawn/", name)));
    EXPECT_EQ(after.width, before.width);
    EXPECT_EQ(after.height, before.height);
    EXPECT_GT(mean_difference(before, after), 1) << "nothing was drawn on " << name;
  }
}

TEST_F(Infer, ExplainsWhereItLooked) {
  const auto explain = [&](const std::string& to) {
    return look(cat(dir_ / "in", " --threshold 0 --batch 2 --explain --annotate ", dir_ / (to + "/drawn"), " --masks ",
                    dir_ / (to + "/maps"), " --report ", dir_ / (to + ".html")));
  };
  const Outcome plain = look(cat(dir_ / "in", " --threshold 0 --batch 2 --annotate ", dir_ / "plain"));
  for (const char* to : {"once", "again"}) fs::create_directories(dir_ / to);
  const Outcome r = explain("once");
  ASSERT_EQ(r.code, 0) << r.err;
  const std::vector<json> said = lines(r.out), without = lines(plain.out);
  ASSERT_EQ(said.size(), 3u);
  for (size_t i = 0; i < said.size(); ++i) {
    EXPECT_EQ(said[i]["raw"], without[i]["raw"]) << "the verdict is the same";
    const Grey map = read_grey(said[i]["mask"]);
    EXPECT_EQ(map.width, said[i]["width"]);
    EXPECT_EQ(map.height, said[i]["height"]);
  }
  for (const char* name : {"a.jpg", "b.jpg", "a_2.jpg"})
    EXPECT_GT(mean_difference(read_image(dir_ / (cat("plain/", name))), read_image(dir_ / (cat("once/drawn/", name)))),
              1)
        << "no heat on " << name;
  const std::string page = content(dir_ / "once.html");
  EXPECT_NE(page.find("where the net looked"), page.npos);
  EXPECT_NE(page.find("\"heat\":true"), page.npos);
  ASSERT_EQ(explain("again").code, 0);
  EXPECT_TRUE(tree(dir_ / "once") == tree(dir_ / "again")) << "the same bytes";
}

TEST_F(Infer, RefusesInOneLine) {
  fs::create_directory(dir_ / "empty");
  put(dir_ / "text.safetensors", "hello");
  write_safetensors(dir_ / "other.safetensors", {state_tensor("fc.weight", {2, 2}, {1, 2, 3, 4})});
  const DetectorInfo wide{.net = "resnet18", .width = 0.25, .size = kNetSize};
  write_safetensors(dir_ / "wide.safetensors", {state_tensor("fc.weight", {2, 2}, {1, 2, 3, 4})},
                    detector_metadata(wide));
  const std::string a = dir_ / "in/a.png";
  struct Case {
    std::string arguments;
    int code;
    const char* says;
  };
  for (const Case& c : std::initializer_list<Case>{
           {a + " --weights " + (dir_ / "none.safetensors"), 1, "none.safetensors"},
           {a + " --weights " + (dir_ / "text.safetensors"), 1, "text.safetensors"},
           {a + " --weights " + (dir_ / "other.safetensors"), 1, "not a detector"},
           {a + " --weights " + (dir_ / "wide.safetensors"), 1, "not the weights of a resnet18"},
           {(dir_ / "empty") + " --weights " + weights(), 1, "empty"},
           {"'" + (dir_ / "*.gif") + "' --weights " + weights(), 1, "no file matches"},
           {a + " --weights " + weights() + " --json " + (dir_ / "no/said.jsonl"), 1, "said.jsonl"},
           {"--weights " + weights(), 2, "PATH"},
           {a + " --weights " + weights() + " --threshold 2", 2, "threshold"},
           {a + " --weights " + weights() + " --colour", 2, "--colour"},
           {a + " --weights " + weights() + " --masks " + (dir_ / "maps"), 2, "--explain"},
           {a + " --weights " + weights() + " --explain", 2, "--annotate"},
           {a + " --weights " + weights() + " --explain --check --masks " + (dir_ / "maps"), 2, "--check"},
           {a + " --explain --masks " + (dir_ / "maps"), 2, "locator"},
       }) {
    const Outcome r = run(c.arguments);
    EXPECT_EQ(r.code, c.code) << c.arguments << "\n" << r.err;
    EXPECT_EQ(r.err_lines(), 1) << r.err;
    EXPECT_EQ(r.err.rfind("infer: ", 0), 0u) << r.err;
    EXPECT_NE(r.err.find(c.says), std::string::npos) << r.err;
    EXPECT_EQ(r.out, "");
  }
}

}  // namespace
}  // namespace telltale
