// synth with painters beside the generator, as users run it.
#include <set>
#include <sstream>

#include "data/codec.h"
#include "data/dataset.h"
#include "data/mask.h"
#include "data/scenes.h"
#include "tests/data/data_fixture.h"
#include "tests/programs/synth_fixture.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

constexpr int kSize = 64, kPhotos = 16;

class SynthPainters : public SynthOnScenes {
 protected:
  SynthPainters() : SynthOnScenes(kPhotos) {}
};

/// Every painter, blend and option at once: whatever was done, outside the hole nothing was, and the files say it.
TEST_F(SynthPainters, PaintersAreDrawnAndNamed) {
  for (int i = kPhotos; i < 40; ++i) write_png(photo(i), draw_scene(kSize, uint64_t(i)));
  const std::string more =
      "--format png --painter all --blend hard,feather,poisson --fill-scale .4 --mask-distribution any";
  const Outcome r = run(line("set", more));
  ASSERT_EQ(r.code, 0) << r.err;
  const Dataset set = Dataset::open(dir_ / "set");
  EXPECT_EQ(content(dir_ / "set/labels.csv").substr(0, 51), "id,fake_label,x_min,y_min,x_max,y_max,split,painter");
  EXPECT_EQ(set.info().treatment.at("painter"), "all");
  std::set<std::string> seen;
  int changed = 0;
  for (int i = 0; i < 40; ++i) {
    const Label& label = set.labels()[size_t(i)];
    const Image before = read_image(photos() + "/" + label.id + ".png"), after = read_image(set.image_path(i));
    EXPECT_NE(label.painter.empty(), label.fake) << label.id;
    if (!label.fake) {
      EXPECT_EQ(before, after) << label.id;
      continue;
    }
    seen.insert(label.painter);
    const Grey mask = read_grey(set.mask_path(i));
    EXPECT_EQ(bounds_of(mask), label.box);
    for (size_t k = 0; k < mask.pixels.size(); ++k)
      ASSERT_TRUE(mask.pixels[k] || std::equal(&before.rgb[3 * k], &before.rgb[3 * k] + 3, &after.rgb[3 * k]))
          << label.painter << " changed a pixel outside its hole";
    changed += before != after;
  }
  EXPECT_GT(seen.size(), 7u) << "of fourteen, by twenty images";
  EXPECT_GE(changed, 17) << "of twenty; a small hole in a flat place may look as before";

  // Killed, started again, in shards: the same bytes.
  const auto expected = tree(dir_ / "set");
  Running running(line("killed", more), dir_ / "run");
  running.wait_for([&] { return files_in(dir_ / "killed/images") >= 9; });
  running.signal(SIGKILL);
  running.wait();
  ASSERT_EQ(run(line("killed", more)).code, 0);
  EXPECT_TRUE(tree(dir_ / "killed") == expected);
  for (const char* shard : {"--shard 2/3", "--shard 1/3", "--shard 3/3", ""})
    ASSERT_EQ(run(line("shards", cat(more, " ", shard))).code, 0) << shard;
  EXPECT_TRUE(tree(dir_ / "shards") == expected);
}

TEST_F(SynthPainters, APastComesBeforeEverythingElse) {
  const Outcome r = run(line("set", "--format png --painter telea --past 1:60:70"));
  ASSERT_EQ(r.code, 0) << r.err;
  const Dataset set = Dataset::open(dir_ / "set");
  std::istringstream table(content(dir_ / "set/treatment.csv"));
  std::string row;
  std::getline(table, row);
  EXPECT_EQ(row, "id,painter,blend,feather_px,fill_scale,past_quality,quality");
  std::set<int> qualities;
  for (int i = 0; i < kPhotos; ++i) {
    ASSERT_TRUE(std::getline(table, row));
    const Label& label = set.labels()[size_t(i)];
    const int quality = std::stoi(row.substr(row.substr(0, row.rfind(',')).rfind(',') + 1));
    qualities.insert(quality);
    EXPECT_EQ(row,
              label.fake ? cat(label.id, ",telea,hard,,1.0000,", quality, ",") : cat(label.id, ",,,,,", quality, ","));
    const Image past = decode_image(encode_jpeg(read_image(photos() + "/" + label.id + ".png"), quality), "past");
    const Image made = read_image(set.image_path(i));
    const Grey mask = label.fake ? read_grey(set.mask_path(i)) : Grey(kSize, kSize);
    for (size_t k = 0; k < mask.pixels.size(); ++k)
      ASSERT_TRUE(mask.pixels[k] || std::equal(&past.rgb[3 * k], &past.rgb[3 * k] + 3, &made.rgb[3 * k])) << label.id;
  }
  EXPECT_GT(qualities.size(), 3u);
  EXPECT_GE(*qualities.begin(), 60);
  EXPECT_LE(*qualities.rbegin(), 70);
}

TEST_F(SynthPainters, SeveralGeneratorsPaintAndAreNamed) {
  ASSERT_EQ(run(line("one", "--format png --weights random:1")).code, 0);
  ASSERT_EQ(run(line("two", "--format png --weights random:2")).code, 0);
  const Outcome r = run(line("both", "--format png --weights random:1,random:2"));
  ASSERT_EQ(r.code, 0) << r.err;
  const Dataset set = Dataset::open(dir_ / "both");
  EXPECT_EQ(set.info().weights_sha256, "random:1,random:2");
  std::set<std::string> seen;
  for (int i = 0; i < kPhotos; ++i) {
    const Label& label = set.labels()[size_t(i)];
    if (!label.fake) continue;
    seen.insert(label.painter);
    const std::string alone = label.painter == "deepfill:random:1" ? "one" : "two";
    const Image expected = read_image(dir_ / (alone + "/images/" + label.id + ".png"));
    EXPECT_LE(mean_difference(read_image(set.image_path(i)), expected), .01) << label.painter;
  }
  EXPECT_EQ(seen, (std::set<std::string>{"deepfill:random:1", "deepfill:random:2"}));
}

TEST_F(SynthPainters, NativeCutsInsteadOfScaling) {
  const std::string big = dir_ / "big", small = "small.png";
  fs::create_directories(big);
  for (int i = 0; i < 6; ++i) write_png(cat(big, "/p", i, ".png"), draw_scene(160, uint64_t(i)));
  write_png(big + "/" + small, draw_scene(40, 1));
  const Outcome r = run(cat("synth --photos ", big, " --out ", dir_ / "set",
                            " --painter navier_stokes --size native:64 --format png --device cpu --quiet"));
  EXPECT_EQ(r.code, 1);
  EXPECT_NE(r.err.find("small.png: is 40x40, smaller than the window of 64x64"), std::string::npos) << r.err;
  const Dataset set = Dataset::open(dir_ / "set");
  EXPECT_EQ(set.info().size, 64);
  for (int i = 0; i < int(set.labels().size()); ++i) {
    const Label& label = set.labels()[size_t(i)];
    const Image photo = read_image(big + "/" + label.id + ".png"), made = read_image(set.image_path(i));
    const Grey mask = label.fake ? read_grey(set.mask_path(i)) : Grey(64, 64);
    bool found = false;
    for (int y = 0; y <= 96 && !found; y += 16)
      for (int x = 0; x <= 96 && !found; x += 16) {
        const Image window = crop(photo, {x, y, x + 64, y + 64});
        found = true;
        for (size_t k = 0; k < mask.pixels.size() && found; ++k)
          found = mask.pixels[k] || std::equal(&window.rgb[3 * k], &window.rgb[3 * k] + 3, &made.rgb[3 * k]);
      }
    EXPECT_TRUE(found) << label.id;
  }
}

}  // namespace
}  // namespace telltale
