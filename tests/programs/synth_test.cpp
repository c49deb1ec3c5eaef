// synth as users run it: the real program on real files, killed, starved and fed nonsense.
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "data/compose.h"
#include "data/dataset.h"
#include "data/mask.h"
#include "data/scenes.h"
#include "engine/program.h"
#include "nets/nets.h"
#include "tests/data/data_fixture.h"
#include "tests/programs/synth_fixture.h"
#include "weights/names.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

constexpr int kSize = 64, kPhotos = 12;

class Synth : public SynthOnScenes {
 protected:
  Synth() : SynthOnScenes(kPhotos) {}
};

TEST_F(Synth, HalfOfEachSplitIsPaintedInsideItsBoxOnly) {
  const Outcome r = run(line("set", "--format png --split 6,4,2"));
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.err, "");
  const Dataset set = Dataset::open(dir_ / "set");
  EXPECT_EQ(set.info().fakes, kPhotos / 2);
  for (const auto& [split, count] : {std::pair(Split::train, 6), {Split::validation, 4}, {Split::test, 2}}) {
    const std::vector<int> rows = set.rows(split);
    EXPECT_EQ(int(rows.size()), count);
    EXPECT_EQ(std::count_if(rows.begin(), rows.end(), [&](int i) { return set.labels()[i].fake; }), count / 2);
  }
  for (int i = 0; i < kPhotos; ++i) {
    const Label& label = set.labels()[i];
    const Image before = read_image(photos() + "/" + label.id + ".png"), after = read_image(set.image_path(i));
    int64_t inside = 0, outside = 0;
    for (int y = 0; y < kSize; ++y)
      for (int x = 0; x < kSize; ++x) {
        const bool in = x >= label.box.x_min && x < label.box.x_max && y >= label.box.y_min && y < label.box.y_max;
        (in ? inside : outside) += !std::equal(before.at(x, y), before.at(x, y) + 3, after.at(x, y));
      }
    EXPECT_EQ(outside, 0) << label.id;
    EXPECT_EQ(inside > area(label.box) / 2, label.fake) << label.id;
    EXPECT_EQ(fs::exists(set.mask_path(i)), label.fake);
    if (label.fake) {
      EXPECT_EQ(bounds_of(read_grey(set.mask_path(i))), label.box);
    }
  }
}

TEST_F(Synth, PaintsWhatTheWeightsFilesNetComputes) {
  Stream stream = Stream::cpu(1);
  Graph graph;
  const Value image = graph.input({1, kSize, kSize, 3}), mask = graph.input({1, kSize, kSize, 1});
  const Inpainted net = deepfill_v2(graph, image, mask, 8);
  Program program(graph, stream, {.seed = 3});
  for (const Param& p : program.params().all())  // away from zero, where a wrong fill would look right
    if (p.spec.shape.c == 6) program.params().write(stream, p, {1, .5, .2, 0, 0, 0});
  program.params_changed();
  write_safetensors(dir_ / "net.safetensors", params_dict(stream, program.params()));
  const auto check = [&](const std::string& out) {
    const Dataset set = Dataset::open(dir_ / out);
    EXPECT_EQ(set.info().weights_sha256.size(), 64u);
    int64_t differ = 0, values = 0;
    for (int i = 0; i < int(set.labels().size()); ++i) {
      const Label& label = set.labels()[i];
      if (!label.fake) continue;
      const Image photo = read_image(photos() + "/" + label.id + ".png"), painted = read_image(set.image_path(i));
      const Grey hole = rasterise(label.box, kSize, kSize);
      std::vector<float> x(photo.rgb.size()), m(hole.pixels.size());
      std::transform(photo.rgb.begin(), photo.rgb.end(), x.begin(), [](uint8_t v) { return float(v) / 255; });
      std::transform(hole.pixels.begin(), hole.pixels.end(), m.begin(), [](uint8_t v) { return float(v) / 255; });
      upload(stream, program.tensor(image), x.data());
      upload(stream, program.tensor(mask), m.data());
      program.forward();
      download(stream, x.data(), program.tensor(net.refined));
      const Image expected = compose(photo, x, hole);
      for (size_t k = 0; k < expected.rgb.size(); ++k) {
        differ += expected.rgb[k] != painted.rgb[k];
        ASSERT_LE(std::abs(expected.rgb[k] - painted.rgb[k]), 1) << label.id;
      }
      values += 3 * area(label.box);
    }
    // Windows' convolutions may add in another order, which moves what lies between two levels.
    EXPECT_LE(differ, values / 1000);
  };
  const std::string more = "--format png --batch 1 --weights " + (dir_ / "net.safetensors");
  Outcome r = run(line("set", more));
  ASSERT_EQ(r.code, 0) << r.err;
  check("set");

  // Five holes in corners, five in the middle, two that need the whole image; rows before columns.
  std::string table = "id,fake_label,x_min,y_min,x_max,y_max\n";
  for (int i = 0; i < kPhotos; ++i) {
    const int row = i < 5 ? i % 2 * 56 : 20 + i, column = i < 5 ? i / 2 % 2 * 50 : 25 - i,
              side = i < 10 ? 6 + i % 3 : 24;
    table += cat("scene", 100 + i, ",1,", row, ",", column, ",", row + side, ",", column + side + 6, "\n");
  }
  put(dir_ / "boxes.csv", table);
  std::string command = line("windows", more + " --paper-csv --split 12,0,0 --boxes " + (dir_ / "boxes.csv"));
  command.erase(command.find(" --quiet"), 8);
  r = run(command);
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.err.find("5 holes need painting only in a window of 32x32"), std::string::npos) << r.err;
  EXPECT_NE(r.err.find("5 holes need painting only in a window of 48x48"), std::string::npos) << r.err;
  check("windows");
}

TEST_F(Synth, KilledAnywhereAndStartedAgainEndsInTheSameBytes) {
  ASSERT_EQ(run(line("whole", "--batch 2")).code, 0);
  const auto expected = tree(dir_ / "whole");
  int killed = 0;
  for (const size_t images : {0, 1, 4, 7, 11}) {
    const std::string out = cat("killed", images);
    for (int again = 0; again < 2; ++again) {  // killed twice: a resumed run can be killed too
      Running running(line(out, "--batch 2"), dir_ / "run");
      running.wait_for([&] { return files_in(dir_ / out + "/images") >= images + size_t(again); });
      running.signal(SIGKILL);
      killed += running.wait().code == 128 + SIGKILL;
      if (images + size_t(again) < 11) {
        EXPECT_FALSE(fs::exists(dir_ / out + "/dataset.json"));
      }
    }
    const Outcome r = run(line(out, "--batch 2"));
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(tree(dir_ / out) == expected) << "killed at " << images << " images";
  }
  EXPECT_GE(killed, 6) << "most runs should have been caught at work";
}

TEST_F(Synth, InterruptedItSaysHowToGoOn) {
  ASSERT_EQ(run(line("whole", "--batch 1")).code, 0);
  Running running(line("cut", "--batch 1"), dir_ / "run");
  running.wait_for([&] { return files_in(dir_ / "cut/images") >= 2; });
  running.signal(SIGINT);
  const Outcome r = running.wait();
  EXPECT_EQ(r.code, 1);
  EXPECT_EQ(r.err, "synth: stopped; run the same command again to continue\n");
  EXPECT_FALSE(fs::exists(dir_ / "cut/dataset.json"));
  ASSERT_EQ(run(line("cut", "--batch 1")).code, 0);
  EXPECT_TRUE(tree(dir_ / "cut") == tree(dir_ / "whole"));
}

TEST_F(Synth, FinishedItHasNothingToDo) {
  ASSERT_EQ(run(line("set")).code, 0);
  const auto before = tree(dir_ / "set");
  const auto written = fs::last_write_time(dir_ / "set/images/scene100.jpg");
  ASSERT_EQ(run(line("set")).code, 0);
  EXPECT_TRUE(tree(dir_ / "set") == before);
  EXPECT_EQ(fs::last_write_time(dir_ / "set/images/scene100.jpg"), written);
}

TEST_F(Synth, BadPhotographsAreSkippedAndNamed) {
  const std::string good = content(photo(0));
  put(photos() + "/bad1.jpg", std::string());
  put(photos() + "/bad2.png", good.substr(0, good.size() / 2));
  put(photos() + "/bad3.jpg", "not a picture");
  std::string huge = good;
  for (int i : {16, 20}) huge[size_t(i)] = '\x7f';  // width and height of the PNG's header
  put(photos() + "/bad4.png", huge);
  const Outcome r = run(line("set"));
  EXPECT_EQ(r.code, 1);
  EXPECT_EQ(r.err_lines(), 5) << r.err;  // one each, and the sum
  for (const char* name : {"bad1.jpg", "bad2.png", "bad3.jpg", "bad4.png"})
    EXPECT_NE(r.err.find(name), std::string::npos) << r.err;
  const Dataset set = Dataset::open(dir_ / "set");
  EXPECT_EQ(set.info().images, kPhotos);
  EXPECT_EQ(set.info().skipped.size(), 4u);
  EXPECT_EQ(files_in(dir_ / "set/images"), size_t(kPhotos));
  EXPECT_EQ(files_in(dir_ / "set/masks"), size_t(set.info().fakes));
}

TEST_F(Synth, TakesThePapersTable) {
  put(dir_ / "paper.csv",
      "id,fake_label,x_min,y_min,x_max,y_max\nscene103,1,10,20,30,60\nscene101,0,0,0,0,0\nscene102,1,0,0,64,64\n");
  const Outcome r = run(line("set", "--boxes " + (dir_ / "paper.csv") + " --paper-csv --split 2,1,0"));
  ASSERT_EQ(r.code, 0) << r.err;
  const Dataset set = Dataset::open(dir_ / "set");
  ASSERT_EQ(set.labels().size(), 3u);
  EXPECT_EQ(set.labels()[0], (Label{"scene103", true, {20, 10, 60, 30}, Split::train}));
  EXPECT_EQ(set.labels()[1], (Label{"scene101", false, {}, Split::train}));
  EXPECT_EQ(set.labels()[2], (Label{"scene102", true, {0, 0, 64, 64}, Split::validation}));
  EXPECT_EQ(bounds_of(read_grey(set.mask_path(0))), set.labels()[0].box);
}

TEST_F(Synth, RawNegativesKeepTheirBytes) {
  const Outcome r = run(line("set", "--format png --negatives raw"));
  ASSERT_EQ(r.code, 0) << r.err;
  const Dataset set = Dataset::open(dir_ / "set");
  for (int i = 0; i < kPhotos; ++i)
    if (!set.labels()[i].fake) {
      EXPECT_EQ(content(set.image_path(i)), content(photos() + "/" + set.labels()[i].id + ".png"));
    }
}

TEST_F(Synth, ScenesNeedNoPhotographs) {
  const std::string command = cat("synth --scenes 5 --out ", dir_ / "set", " --weights random:1 --width 8 --size 32");
  const Outcome r = run(command);
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.err.find("untrained"), std::string::npos) << "what painted must be said: " << r.err;
  const Dataset set = Dataset::open(dir_ / "set");
  EXPECT_EQ(set.info().images, 5);
  EXPECT_EQ(set.info().weights_sha256, "random:1");
}

TEST_F(Synth, ASheetShowsWhatWasPainted) {
  ASSERT_EQ(run(line("set", "--format png --sheet " + (dir_ / "sheet.png"))).code, 0);
  const Dataset set = Dataset::open(dir_ / "set");
  const Image sheet = read_image(dir_ / "sheet.png");
  constexpr int kPitch = kSize + 4, kHead = 12;
  EXPECT_EQ(sheet.width, 6 * kPitch + 4);
  EXPECT_EQ(sheet.height, kHead + kPhotos / 2 / 2 * kPitch);
  int sample = 0;
  for (int i = 0; i < kPhotos; ++i) {
    if (!set.labels()[i].fake) continue;
    const int x = 4 + sample % 2 * 3 * kPitch, y = kHead + sample / 2 * kPitch;
    const Image before = read_image(photos() + "/" + set.labels()[i].id + ".png"),
                after = read_image(set.image_path(i));
    EXPECT_EQ(crop(sheet, {x, y, x + kSize, y + kSize}), before);
    EXPECT_EQ(crop(sheet, {x + 2 * kPitch, y, x + 2 * kPitch + kSize, y + kSize}), after);
    const Box hole = set.labels()[i].box;
    EXPECT_EQ(*sheet.at(x + kPitch + hole.x_min, y + hole.y_min), 255);
    ++sample;
  }
  const std::string first = content(dir_ / "sheet.png");
  ASSERT_EQ(run(line("set", "--format png --sheet " + (dir_ / "again.png"))).code, 0);
  EXPECT_TRUE(content(dir_ / "again.png") == first) << "with nothing left to paint";
  EXPECT_EQ(run(line("set", "--format png --sheet " + (dir_ / "sheet.png"))).code, 0) << "its own";
  for (const std::string& other : {set.image_path(0), photos() + "/" + set.labels()[0].id + ".png"}) {
    const std::string before = content(other);
    const Outcome o = run(line("set", "--format png --sheet " + other));
    EXPECT_EQ(o.code, 2) << o.err;
    EXPECT_EQ(o.err_lines(), 1) << o.err;
    EXPECT_TRUE(content(other) == before);
  }
}

TEST_F(Synth, RefusesInOneLineAndLeavesNothing) {
  fs::create_directory(dir_ / "empty");
  put(dir_ / "text.safetensors", "hello");
  write_safetensors(dir_ / "other.safetensors", {state_tensor("fc.weight", {2, 2}, {1, 2, 3, 4})});
  write_safetensors(dir_ / "shape.safetensors",
                    {state_tensor("coarse.0.conv2d.weight", {8, 4, 1, 1}, std::vector<double>(32))});
  put(dir_ / "net.pth", "PK");
  const std::string header = "id,fake_label,x_min,y_min,x_max,y_max\n";
  put(dir_ / "column.csv", "id,fake_label,x_min,y_min,x_max\nscene101,0,0,0,0\n");
  put(dir_ / "inverted.csv", header + "scene101,1,30,10,20,40\n");
  put(dir_ / "unknown.csv", header + "nobody,1,10,10,20,40\n");
  put(dir_ / "outside.csv", header + "scene101,1,10,10,20,400\n");
  struct Case {
    std::string line;
    int code;
    const char* says;
  };
  const auto replaced = [&](std::string photos) {
    return cat("synth --photos ", photos, " --out ", dir_ / "set", " --weights random:7 --width 8 --size 64 --quiet");
  };
  const auto with = [&](const std::string& more) { return line("set", more); };
  for (const Case& c : std::initializer_list<Case>{
           {replaced(dir_ / "nowhere"), 1, "nowhere"},
           {replaced(dir_ / "empty"), 1, "empty"},
           {with("--weights " + (dir_ / "text.safetensors")), 1, "text.safetensors"},
           {with("--weights " + (dir_ / "other.safetensors")), 1,
            "other.safetensors: no net known here; closest is resnet18"},
           {with("--weights " + (dir_ / "shape.safetensors")), 1,
            "shape.safetensors: no net known here; closest is csqiangwen"},
           {with("--weights " + (dir_ / "missing.safetensors")), 1, "missing.safetensors"},
           {with("--weights " + (dir_ / "net.pth")), 1, "a damaged zip archive"},
           {with("--boxes " + (dir_ / "column.csv")), 1, "y_max"},
           {with("--boxes " + (dir_ / "inverted.csv")), 1, "inverted.csv:2"},
           {with("--boxes " + (dir_ / "unknown.csv")), 1, "nobody"},
           {with("--boxes " + (dir_ / "outside.csv")), 1, "outside.csv:2"},
           {with("--boxes " + (dir_ / "nowhere.csv")), 1, "nowhere.csv"},
           {with("--split 10,10,10"), 1, "12"},
           {with("--colour"), 2, "--colour"},
           {with("--split 1,2"), 2, "1,2"},
           {with("--size 60"), 2, "multiple of 8"},
           {with("--quality 101"), 2, "quality"},
           {with("--weights random:x"), 2, "random:x"},
           {with("--device tpu"), 2, "tpu"},
           {with("--mask-law circle"), 2, "mask-distribution"},
           {with("--painter rembrandt"), 2, "no painter 'rembrandt'; known are deepfill, blur"},
           {with("--painter telea:0"), 2, "the weight of telea must be above 0"},
           {with("--painter telea:x"), 2, "'x' is not a number"},
           {with("--painter telea,"), 2, "is not NAME or NAME:WEIGHT"},
           {with("--blend soft"), 2, "known are hard"},
           {with("--past 2"), 2, "from 0 to 1"},
           {with("--past .5:60"), 2, "expected P or P:LOW:HIGH"},
           {with("--past .5:90:60"), 2, "the lower first"},
           {with("--past .5 --negatives raw"), 2, "the real images lack"},
           {with("--fill-scale .5:.01:1"), 2, "0.1 to 4"},
           {with("--quality 90:80"), 2, "the lower first"},
           {with("--size nativ"), 2, "--size nativ: expected a side"},
           {with("--size native:8"), 2, "16 to 4096"},
           {with("--weights random:1,random:1"), 2, "two are called random:1"},
           {with("--sheet fills.gif"), 2, "fills.gif: must end in .png"},
           {with("--sheet fills.png --shard 1/2"), 2, "--sheet"},
           {"synth --out " + (dir_ / "set") + " --weights random:1", 2, "--photos"},
       }) {
    const Outcome r = run(c.line);
    EXPECT_EQ(r.code, c.code) << c.line << "\n" << r.err;
    EXPECT_EQ(r.err_lines(), 1) << r.err;
    EXPECT_EQ(r.err.rfind("synth: ", 0), 0u) << r.err;
    EXPECT_NE(r.err.find(c.says), std::string::npos) << r.err;
    EXPECT_FALSE(fs::exists(dir_ / "set")) << c.line;
  }
}

TEST_F(Synth, TheShippedGeneratorPaintsByDefault) {
  const Outcome r = run("synth --scenes 2 --out " + (dir_ / "set") + " --size 64 --split 1,1,0 --device cpu");
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(Dataset::open(dir_ / "set").info().weights_sha256,
            sha256_file(cat(TT_BIN_DIR, "/../../weights/deepfill_v2.safetensors")));
}

TEST_F(Synth, AFolderIsOnlyContinuedAsItWasBegun) {
  ASSERT_EQ(run(line("set")).code, 0);
  const auto before = tree(dir_ / "set");
  for (const auto& [more, says] :
       {std::pair("--quality 90", "quality"), {"--seed 5", "seed"}, {"--batch 3", "batch"}}) {
    const Outcome r = run(line("set", more));
    EXPECT_EQ(r.code, 1);
    EXPECT_EQ(r.err_lines(), 1);
    EXPECT_NE(r.err.find(says), std::string::npos) << r.err;
  }
  fs::remove(photo(3));
  const Outcome changed = run(line("set"));
  EXPECT_EQ(changed.code, 1);
  EXPECT_NE(changed.err.find("photographs"), std::string::npos) << changed.err;
  EXPECT_TRUE(tree(dir_ / "set") == before);
  const Outcome foreign =
      Running(cat("synth --photos ", photos(), " --out ", photos(), " --weights random:7 --width 8"), dir_ / "run")
          .wait();
  EXPECT_EQ(foreign.code, 1);
  EXPECT_NE(foreign.err.find("did not make"), std::string::npos) << foreign.err;
}

/// A write fails in the middle: nothing half-written stays, and with room again the run goes on to the same bytes.
TEST_F(Synth, AFullDiskEndsItCleanly) {
  ASSERT_EQ(run(line("whole")).code, 0);
  // No file above one block: settings and masks fit, images do not. The signal is ignored so that write() itself fails.
  const Outcome limited = run(line("set"), "trap '' XFSZ; ulimit -f 2;");
  EXPECT_EQ(limited.code, 1) << limited.err;
  EXPECT_EQ(limited.err_lines(), 1) << limited.err;
  EXPECT_NE(limited.err.find("File too large"), std::string::npos) << limited.err;
  for (const auto& [name, bytes] : tree(dir_ / "set")) {
    EXPECT_EQ(name.find(".part-"), std::string::npos) << name;
    EXPECT_NE(name, "labels.csv");
    EXPECT_NE(name, "dataset.json");
  }
  ASSERT_EQ(run(line("set")).code, 0);
  EXPECT_TRUE(tree(dir_ / "set") == tree(dir_ / "whole"));
}

TEST_F(Synth, AFullFileSystemEndsItCleanly) {
  const std::string disk = dir_ / "disk";
  fs::create_directory(disk);
  if (std::system(("mount -t tmpfs -o size=32k tmpfs " + disk + " 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << "only root may mount a small file system";
  const Outcome r = run(line("disk/set"));
  const auto left = tree(disk);
  EXPECT_EQ(std::system(("umount " + disk).c_str()), 0);
  EXPECT_EQ(r.code, 1);
  EXPECT_EQ(r.err_lines(), 1) << r.err;
  EXPECT_NE(r.err.find("No space left"), std::string::npos) << r.err;
  for (const auto& [name, bytes] : left) EXPECT_EQ(name.find(".part-"), std::string::npos) << name;
}

}  // namespace
}  // namespace telltale
