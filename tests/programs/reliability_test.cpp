// What must not be lost, overwritten or believed: the real programs among odd names, links, pipes and broken files.
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <set>

#include "data/dataset.h"
#include "data/scenes.h"
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

class Reliability : public ::testing::Test {
 protected:
  Reliability() {
    const DetectorInfo info{.net = "resnet18", .width = 0.05, .size = 32};
    const PictureGraph net = detector_graph(info, 1, 32);
    Program program(net.graph, stream_, {.seed = 5});
    dict_ = params_dict(stream_, program.params());
    for (StateTensor& t : dict_) t = state_tensor(t.info.name, t.info.shape, t.read());
    write_safetensors(weights(), dict_, detector_metadata(info));
    fs::create_directories(photos());
    for (int i = 0; i < 6; ++i) write_png(cat(photos(), "/scene", i, ".png"), draw_scene(32, uint64_t(i)));
    photo_ = photos() + "/scene0.png";
  }
  std::string weights() const { return dir_ / "net.safetensors"; }
  std::string photos() const { return dir_ / "photos"; }
  /// Inside the test's folder, so that relative names are its own.
  Outcome run(const std::string& line, const std::string& before = "") const {
    return Running(line + " --quiet --device cpu --threads 1", dir_ / "said", cat("cd ", dir_.path(), ";", before))
        .wait();
  }
  Outcome infer(const std::string& words, const std::string& before = "") const {
    return run("infer --weights net.safetensors " + words, before);
  }
  Outcome synth(const std::string& words) const { return run("synth --size 32 --weights random:1 --width 8 " + words); }
  static std::map<std::string, json> by_path(const std::string& text) {
    std::map<std::string, json> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      const json object = json::parse(line);
      lines[object.at("path")] = object;
    }
    return lines;
  }

  Folder dir_;
  Stream stream_ = Stream::cpu(1);
  StateDict dict_;
  std::string photo_;
};

TEST_F(Reliability, AnnotationsCostNoPhotograph) {
  fs::create_directory(dir_ / "in");
  write_jpeg(dir_ / "in/a.jpg", draw_scene(32, 1), 90);
  const std::string before = content(dir_ / "in/a.jpg");
  for (const char* words : {"in --annotate in", "in/a.jpg --annotate in"}) {
    const Outcome o = infer(words);
    EXPECT_EQ(o.code, 2) << o.err;
    EXPECT_EQ(o.err_lines(), 1) << o.err;
    EXPECT_TRUE(content(dir_ / "in/a.jpg") == before);
  }
  // Another folder's file of that name is somebody's, too; one's own may be made anew.
  put(dir_ / "out/a.jpg", "mine");
  EXPECT_EQ(infer("in --annotate out").code, 2);
  EXPECT_EQ(content(dir_ / "out/a.jpg"), "mine");
  fs::remove(dir_ / "out/a.jpg");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(infer("in --annotate out").code, 0);
  EXPECT_EQ(read_image(dir_ / "out/a.jpg").width, 32);
  // A full disk may have torn the list of what is one's own.
  put(dir_ / "out/.annotated", "a.jpg\nb.j");
  write_jpeg(dir_ / "in/c.jpg", draw_scene(32, 2), 90);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(infer("in --annotate out").code, 0);
  EXPECT_EQ(content(dir_ / "out/.annotated").find("b.j\n"), std::string::npos) << "a torn name is nobody's";
  EXPECT_NE(content(dir_ / "out/.annotated").find("a.jpg\n"), std::string::npos);
}

TEST_F(Reliability, AnOutputFolderIsNoInput) {
  for (int i = 0; i < 2; ++i) {
    const Outcome o = infer("photos --annotate photos/out");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(by_path(o.out).size(), 6u);
  }
  fs::remove_all(dir_ / "photos/out");
  for (int i = 0; i < 2; ++i) {
    const Outcome o = synth("--photos photos --out photos/data");
    EXPECT_EQ(o.code, 0) << o.err;
  }
  EXPECT_EQ(Dataset::open(dir_ / "photos/data").info().images, 6);
}

TEST_F(Reliability, ResultsGoThroughPipesAndLinks) {
  put(dir_ / "target", "old");
  fs::create_symlink("target", dir_ / "link");
  ASSERT_EQ(infer("photos/scene0.png --json link").code, 0);
  EXPECT_TRUE(fs::is_symlink(dir_ / "link"));
  EXPECT_NE(content(dir_ / "target").find("fake_probability"), std::string::npos);
  const Outcome o = infer("photos/scene0.png --json /dev/stdout");
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.out.find("fake_probability"), std::string::npos);
  EXPECT_EQ(infer("photos/scene0.png --json photos/scene0.png").code, 2);
  EXPECT_EQ(infer("photos/scene0.png --json net.safetensors").code, 2);
}

/// What `--json photos/*` names is the first photograph.
TEST_F(Reliability, NoOptionCostsAFile) {
  ASSERT_EQ(run("synth --scenes 24 --size 32 --weights random:1 --width 8 --out data").code, 0);
  put(dir_ / "recipe.json", "{}");
  put(dir_ / "tables/summary.md", "mine");
  const auto files = [&] {
    auto all = tree(dir_.path());
    std::erase_if(all, [](const auto& file) { return file.first.starts_with("said"); });
    return all;
  };
  const auto before = files();
  const std::string train = "train --data data --net resnet18 --width 0.05 --size 32 --batch 4 --epochs 1 --out r ";
  const std::string eval = "eval --weights net.safetensors --data data ";
  for (const std::string& line :
       {std::string("infer --weights net.safetensors --json photos/scene0.png photos/scene1.png"),
        std::string("infer --weights net.safetensors --report photos/scene0.png photos/scene1.png"),
        std::string("infer --weights net.safetensors photos --json said --report ./said"),
        std::string("audit data --json photos/scene0.png"), std::string("bench kernels --json photos/scene0.png"),
        std::string("bench losses --out tables --losses giou"),
        std::string("bench load net.safetensors --json net.safetensors"), train + "--report photos/scene0.png",
        train + "--recipe recipe.json --report recipe.json", eval + "--out e --report photos/scene0.png",
        eval + "--out e --report e/report.json", eval + "--split validation --calibrate net.pth --out e",
        std::string("eval --weights net.safetensors --fills data --report page.html")}) {
    const Outcome o = run(line);
    EXPECT_EQ(o.code, 2) << line << "\n" << o.err;
    EXPECT_EQ(o.err_lines(), 1) << o.err;
    EXPECT_EQ(o.out, "") << line;
  }
  EXPECT_TRUE(files() == before);
}

TEST_F(Reliability, OneItemCostsItselfAlone) {
  fs::create_directories(dir_ / "in/locked");
  write_png(dir_ / "in/good.png", draw_scene(32, 2));
  fs::create_symlink("loop.jpg", dir_ / "in/loop.jpg");
  ASSERT_EQ(mkfifo((dir_ / "pipe.jpg").c_str(), 0600), 0);
  write_png(dir_ / "wide.png", Image(70000, 4));
  const std::string lengthy = std::string(300, 'a') + ".jpg", stem = std::string(245, 'b');
  fs::copy(photo_, dir_ / (stem + ".png"));
  const Outcome o =
      infer(cat(lengthy, " in pipe.jpg wide.png ", stem, ".png photos/scene0.png --batch 1 --annotate drawn"));
  EXPECT_EQ(o.code, 1);
  const auto said = by_path(o.out);
  for (const std::string& bad : {lengthy, std::string("in/loop.jpg"), std::string("pipe.jpg")})
    EXPECT_TRUE(said.at(bad).contains("error")) << bad;
  for (const std::string& good :
       {std::string("in/good.png"), std::string("wide.png"), stem + ".png", std::string("photos/scene0.png")})
    EXPECT_TRUE(said.at(good).contains("fake_probability")) << good;
  EXPECT_NE(o.err.find("wide.png: no annotated picture"), std::string::npos) << o.err;
  EXPECT_TRUE(fs::exists(dir_ / ("drawn/" + stem + ".jpg")));
  EXPECT_TRUE(fs::exists(dir_ / "drawn/scene0.jpg"));
}

TEST_F(Reliability, ABrokenPictureOfADatasetCostsItselfAlone) {
  ASSERT_EQ(run("synth --scenes 60 --size 32 --weights random:1 --width 8 --out data").code, 0);
  const Dataset set = Dataset::open(dir_ / "data");
  const std::vector<int> test = set.rows(Split::test);
  put(set.image_path(test[0]), "torn");
  const Outcome eval = run("eval --data data --weights net.safetensors --out e --report e.html");
  EXPECT_EQ(eval.code, 1) << eval.err;
  EXPECT_NE(eval.err.find(cat("1 of ", test.size(), " pictures were skipped")), std::string::npos) << eval.err;
  const std::string table = content(dir_ / "e/predictions.csv");
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), int64_t(test.size())) << "a header and the others";
  EXPECT_TRUE(fs::exists(dir_ / "e.html"));
  const Outcome audit = run("audit data --json a.json");
  EXPECT_EQ(audit.code, 1);
  EXPECT_NE(audit.err.find("1 of 60 pictures were skipped"), std::string::npos) << audit.err;
  EXPECT_TRUE(fs::exists(dir_ / "a.json"));
  // What training would come to only after an epoch is refused before it, and nothing is begun.
  put(set.image_path(set.rows(Split::validation)[0]), "torn");
  const Outcome train = run("train --data data --net resnet18 --width 0.05 --size 32 --batch 4 --epochs 1 --out r");
  EXPECT_EQ(train.code, 1);
  EXPECT_EQ(train.err_lines(), 1) << train.err;
  EXPECT_FALSE(fs::exists(dir_ / "r"));
}

TEST_F(Reliability, AnyNameIsAName) {
  fs::create_directories(dir_ / "[set1]");
  fs::create_directories(dir_ / "set1");
  fs::copy(photo_, dir_ / "[set1]/right.png");
  fs::copy(photo_, dir_ / "set1/wrong.png");
  EXPECT_NE(infer("'[set1]'").out.find("right.png"), std::string::npos);
  fs::rename(photos() + "/scene1.png", photos() + "/Paris, \"old\" 2019.png");
  fs::rename(photos() + "/scene2.png", photos() + "/" + std::string(240, 'n') + ".png");
  fs::rename(photos() + "/scene3.png", photos() + "/caf\xe9.png");
  fs::create_directories(dir_ / "photos/sub");
  fs::copy(photo_, dir_ / "photos/sub/scene0.png");
  const Outcome o = synth("--photos photos --split 3,2,2 --out d\xe9");
  ASSERT_EQ(o.code, 0) << o.err;
  const Dataset set = Dataset::open(dir_ / "d\xe9");
  std::set<std::string> ids;
  for (const Label& l : set.labels()) ids.insert(l.id);
  EXPECT_TRUE(ids.contains("Paris, \"old\" 2019"));
  EXPECT_TRUE(ids.contains("sub_scene0"));
  EXPECT_EQ(ids.size(), 7u);
  EXPECT_EQ(synth("--photos photos --split 3,2,2 --out d\xe9").code, 0) << "once more, there is nothing to do";
  const Outcome eval = run("eval --data d\xe9 --split train --weights net.safetensors --out e\xe9");
  EXPECT_EQ(eval.code, 0) << eval.err;
  const std::string train = "train --data d\xe9 --net resnet18 --width 0.05 --size 32 --batch 2 --epochs 1 --out r\xe9";
  const Outcome trained = run(train);
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(run(train + " --resume").code, 0);
}

TEST_F(Reliability, BrokenWeightsAreRefusedByName) {
  StateDict broken = dict_;
  std::vector<double> values = broken[0].read();
  values[3] = NAN;
  broken[0] = state_tensor(broken[0].info.name, broken[0].info.shape, values);
  write_safetensors(dir_ / "nan.safetensors", broken,
                    detector_metadata({.net = "resnet18", .width = 0.05, .size = 32}));
  const Outcome o = run("infer photos/scene0.png --weights nan.safetensors");
  EXPECT_EQ(o.code, 1);
  EXPECT_NE(o.err.find(broken[0].info.name + ": 1 of its "), std::string::npos) << o.err;
  Metadata checkpoint = detector_metadata({.net = "resnet18", .width = 0.05, .size = 32});
  checkpoint["kind"] = "checkpoint";
  write_safetensors(dir_ / "last.safetensors", dict_, checkpoint);
  EXPECT_NE(run("infer photos/scene0.png --weights last.safetensors").err.find("take best.safetensors"),
            std::string::npos);
}

TEST_F(Reliability, WrappedSplitAndNarrowWeightsLoad) {
  const std::string plain = by_path(infer("photos/scene0.png").out).at("photos/scene0.png").at("raw").dump();
  const Metadata metadata = detector_metadata({.net = "resnet18", .width = 0.05, .size = 32});
  StateDict wrapped = dict_;
  for (StateTensor& t : wrapped) t.info.name = "_orig_mod.module." + t.info.name;
  write_safetensors(dir_ / "wrapped.safetensors", wrapped, metadata);
  const Outcome o = run("infer photos/scene0.png --weights wrapped.safetensors");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(by_path(o.out).at("photos/scene0.png").at("raw").dump(), plain);
  // A width that is no multiple of 1/8 is in the metadata alone.
  const Outcome converted = run("convert net.safetensors x.pth");
  EXPECT_EQ(converted.code, 0) << converted.err;
  EXPECT_EQ(by_path(run("infer photos/scene0.png --weights x.pth").out).at("photos/scene0.png").at("raw").dump(),
            plain);
  put(dir_ / "mine.pth", "mine");
  EXPECT_EQ(run("convert net.safetensors mine.pth").code, 2);
  EXPECT_EQ(run("convert x.pth x.pth").code, 2);
  EXPECT_EQ(run("convert net.safetensors x.pth").code, 0) << "its own may be made anew";
}

TEST_F(Reliability, ShardsAreReadByTheirIndex) {
  StateDict half[2];
  json map;
  for (size_t i = 0; i < dict_.size(); ++i) {
    half[i % 2].push_back(dict_[i]);
    map[dict_[i].info.name] = cat("part-", i % 2, ".safetensors");
  }
  for (int i : {0, 1}) write_safetensors(dir_ / cat("part-", i, ".safetensors"), half[i]);
  put(dir_ / "net.index.json", json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}}.dump());
  const Outcome o = run("convert --any net.index.json whole.safetensors");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(Safetensors::open(dir_ / "whole.safetensors").tensors().size(), dict_.size());
  fs::remove(dir_ / "part-1.safetensors");
  EXPECT_NE(run("convert --any net.index.json again.safetensors").err.find("part-1.safetensors"), std::string::npos);
}

TEST_F(Reliability, LostWordsAreAFailure) {
  EXPECT_EQ(infer("photos/scene0.png", "exec >&-;").code, 1);
  EXPECT_EQ(run("convert --list net.safetensors > /dev/full").code, 1);
  put(dir_ / "broken.jpg", "x");
  infer("photos/scene0.png broken.jpg --json said.jsonl", "exec 2>&-;");
  EXPECT_EQ(by_path(content(dir_ / "said.jsonl")).size(), 2u) << "every line is JSON";
}

TEST_F(Reliability, TwoRunsInOneFolderAreOne) {
  ASSERT_EQ(run("synth --scenes 24 --size 32 --weights random:1 --width 8 --out data").code, 0);
  const std::string line =
      "train --data data --net resnet18 --width 0.05 --size 32 --batch 4 --epochs 4 --device cpu --threads 1 --quiet "
      "--out ";
  Running first(line + (dir_ / "r") + " --seed 1", dir_ / "first", cat("cd ", dir_.path(), ";")),
      second(line + (dir_ / "r") + " --seed 2", dir_ / "second", cat("cd ", dir_.path(), ";"));
  const Outcome a = first.wait(), b = second.wait();
  EXPECT_EQ(a.code == 0, b.code != 0) << a.err << b.err;
  std::set<int> steps;
  std::istringstream metrics(content(dir_ / "r/metrics.jsonl"));
  for (std::string l; std::getline(metrics, l);)
    EXPECT_TRUE(steps.insert(json::parse(l).at("step").get<int>()).second) << l;
}

}  // namespace
}  // namespace telltale
