// A grid of JPEG blocks shows until a picture is scaled.
#include "data/jpeg_grid.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/codec.h"
#include "data/scenes.h"

namespace telltale {
namespace {

Image saved(const Image& image, int quality) { return decode_image(encode_jpeg(image, quality), "a test's picture"); }

TEST(JpegGrid, ShowsOnScenesThatWereSavedAndOnNoOthers) {
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    const Image scene = draw_scene(256, seed);
    EXPECT_LT(jpeg_grid_evidence(scene), kJpegGridEvidence / 2) << seed;
    for (const int quality : {98, 90, 75, 50})
      EXPECT_GT(jpeg_grid_evidence(saved(scene, quality)), 1.3 * kJpegGridEvidence) << seed << " at " << quality;
    const Image jpeg = saved(scene, 85);
    EXPECT_GT(jpeg_grid_evidence(crop(jpeg, {3, 5, 251, 256})), 1.3 * kJpegGridEvidence) << seed << ", cropped";
    for (const double scale : {.5, .75, .9, 1.25, 1.5, 2.})
      for (const Filter filter : {Filter::bilinear, Filter::lanczos}) {
        const int side = int(std::lround(256 * scale));
        EXPECT_LT(jpeg_grid_evidence(resize(jpeg, side, side, filter)), .75 * kJpegGridEvidence)
            << seed << " scaled by " << scale << (filter == Filter::lanczos ? ", Lanczos" : ", bilinear");
      }
  }
}

TEST(JpegGrid, IsNotLookedForWhereThereAreTooFewBlocks) {
  const Image jpeg = saved(draw_scene(64, 1), 75);
  EXPECT_EQ(jpeg_grid_evidence(crop(jpeg, {0, 0, 16, 64})), 0);
  EXPECT_GT(jpeg_grid_evidence(crop(jpeg, {0, 0, 39, 39})), 0);
  EXPECT_EQ(jpeg_grid_evidence(crop(jpeg, {0, 0, 38, 39})), 0);
  EXPECT_EQ(jpeg_grid_evidence(Image(1, 1)), 0);
}

TEST(JpegGrid, FlatPicturesHaveNone) { EXPECT_EQ(jpeg_grid_evidence(Image(128, 128)), 0); }

}  // namespace
}  // namespace telltale
