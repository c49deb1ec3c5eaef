// infer --explain on a detector trained here: whether where it looks is where something was painted.
#include <cmath>

#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"
#include "tests/programs/noise_dataset.h"

namespace telltale {
namespace {

TEST(InferExplain, WhereADetectorLooksSomethingWasPainted) {
  // 128 pixels: a map of 4 × 4 cells, each 16 pixels of a picture.
  const Folder dir;
  const auto run = [&](const std::string& line) { return Running(line, dir / "run").wait(); };
  make_dataset(dir / "data", 48, 16, 16);
  const Outcome trained =
      run(cat("train --data ", dir / "data", " --out ", dir / "looks",
              " --net resnet18 --width 0.125 --size 128 --batch 8 --epochs 10 --lr 0.002 --alpha 1 --beta 1 --box-unit "
              "normalised --device cpu --threads 2 --seed 3"));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Outcome r = run(cat("infer ", dir / "data/images", " --weights ", dir / "looks/best.safetensors",
                            " --device cpu --explain --masks ", dir / "maps"));
  ASSERT_EQ(r.code, 0) << r.err;
  struct Map {
    Box box;
    double x = 0, y = 0, inside = 0, share_of_box = 0;  ///< centre of mass; the heat's share in the box, the area's
  };
  std::vector<Map> maps;
  const Dataset data = Dataset::open(dir / "data");
  for (const Label& label : data.labels()) {
    if (!label.fake) continue;
    const Grey heat = read_grey(dir / ("maps/" + label.id + ".png"));
    ASSERT_EQ(heat.width, kNoiseSize);
    Map m{.box = label.box};
    double all = 0;
    for (int y = 0; y < kNoiseSize; ++y)
      for (int x = 0; x < kNoiseSize; ++x) {
        const double value = heat.pixels[size_t(y * kNoiseSize + x)];
        all += value;
        m.x += value * (x + .5);
        m.y += value * (y + .5);
        if (x >= m.box.x_min && x < m.box.x_max && y >= m.box.y_min && y < m.box.y_max) m.inside += value;
      }
    ASSERT_GT(all, 0) << label.id;
    m.x /= all, m.y /= all, m.inside /= all, m.share_of_box = double(area(m.box)) / (kNoiseSize * kNoiseSize);
    maps.push_back(m);
  }
  ASSERT_EQ(maps.size(), 40u);
  const auto distance = [](const Map& m, const Box& box) {
    return std::hypot(m.x - (box.x_min + box.x_max) / 2., m.y - (box.y_min + box.y_max) / 2.);
  };
  double own = 0, others = 0, inside = 0, chance = 0;
  for (const Map& m : maps) {
    own += distance(m, m.box) / 40;
    for (const Map& other : maps) others += distance(m, other.box) / 1600;
    inside += m.inside / 40;
    chance += m.share_of_box / 40;
  }
  RecordProperty("distance_to_own_box", cat(own));
  RecordProperty("distance_to_any_box", cat(others));
  EXPECT_LT(own, 0.7 * others) << "pixels from the heat's centre of mass to the middle of the painted box";
  EXPECT_GT(inside, 1.5 * chance) << "share of the heat that lies in the box";
}

}  // namespace
}  // namespace telltale
