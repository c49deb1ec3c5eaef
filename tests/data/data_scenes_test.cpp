#include <set>

#include "base/sha256.h"
#include "data/scenes.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

// Of one channel: mean, standard deviation, and the correlation of neighbours.
struct Statistics {
  double mean, deviation, correlation;
};

Statistics green_of(const Image& image) {
  double n = 0, sum = 0, squares = 0, product = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x + 1 < image.width; ++x) {
      const double a = image.at(x, y)[1], b = image.at(x + 1, y)[1];
      ++n, sum += a, squares += a * a, product += a * b;
    }
  const double mean = sum / n, variance = squares / n - mean * mean;
  return {mean, std::sqrt(variance), (product / n - mean * mean) / variance};
}

TEST(Scenes, AreFunctionsOfTheirSeed) {
  EXPECT_EQ(draw_scene(64, 5), draw_scene(64, 5));
  std::set<std::string> seen;
  for (int seed = 0; seed < 12; ++seed) seen.insert(sha256(draw_scene(32, uint64_t(seed)).rgb));
  EXPECT_EQ(seen.size(), 12u);
  refusal<ShapeError>([] { draw_scene(8, 1); });
}

TEST(Scenes, HaveTheStatisticsOfPhotographs) {
  // The bounds of the middle 98 to 99 % of 1 800 real photographs of 256 × 256 (places, houses, flowers, animals).
  double mean = 0;
  int flat = 0;
  constexpr int kScenes = 24;
  for (int seed = 0; seed < kScenes; ++seed) {
    const Statistics s = green_of(draw_scene(256, 1000 + uint64_t(seed)));
    EXPECT_GT(s.mean, 30) << seed;
    EXPECT_LT(s.mean, 200) << seed;
    EXPECT_GT(s.correlation, .75) << seed;
    flat += s.deviation < 24;
    mean += s.mean / kScenes;
  }
  EXPECT_LE(flat, 1);
  EXPECT_NEAR(mean, 120, 25);
}

}  // namespace
}  // namespace telltale
