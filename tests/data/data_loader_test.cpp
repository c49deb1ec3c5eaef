#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "data/loader.h"
#include "data/mask.h"
#include "kernels/device/philox.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

struct Copy {
  int epoch, index;
  std::vector<uint8_t> pixels, flip;
  std::vector<float> targets;
  std::vector<int> rows;
  bool operator==(const Copy&) const = default;
};

Copy copy_of(const Batch& b) {
  const size_t n = size_t(b.count), image = size_t(b.size) * b.size * 3;
  return {b.epoch,
          b.index,
          {b.pixels.begin(), b.pixels.begin() + long(n * image)},
          {b.flip.begin(), b.flip.begin() + long(n)},
          {b.targets.at(0).begin(), b.targets[0].begin() + long(n * 5)},
          {b.rows.begin(), b.rows.begin() + long(n)}};
}

std::vector<Copy> drain(Loader& loader, int epoch, int batch, int end) {
  std::vector<Copy> all;
  loader.start(epoch, batch, end);
  while (const Batch* b = loader.next()) all.push_back(copy_of(*b));
  return all;
}

/// Label and corners, as fractions of the image's sides.
LoaderOptions with_boxes(LoaderOptions options) {
  options.targets = {{5, [](const Truth& t, float* to) {
                        const Box& b = t.label.box;
                        const float w = float(t.width), h = float(t.height);
                        const float row[] = {float(t.label.fake), b.x_min / w, b.y_min / h, b.x_max / w, b.y_max / h};
                        std::copy_n(row, 5, to);
                      }}};
  return options;
}

class LoaderTest : public ::testing::Test {
 protected:
  static constexpr int kImages = 40, kSize = 32;
  LoaderTest() {
    write_dataset(folder.path(), kImages, kSize);
    dataset = Dataset::open(folder.path());
    rows = dataset.rows(Split::train);
  }
  std::vector<Copy> epochs(LoaderOptions options, int end = 3) {
    Loader loader(dataset, rows, with_boxes(options));
    return drain(loader, 0, 0, end);
  }
  Folder folder;
  Dataset dataset;
  std::vector<int> rows;
};

TEST_F(LoaderTest, ThreadsPrefetchAndCacheChangeNothing) {
  const auto wanted = epochs({.batch = 7, .seed = 3, .threads = 1, .prefetch = 1});
  ASSERT_EQ(wanted.size(), 15u);
  for (const int threads : {2, 3, 8})
    for (const int prefetch : {1, 4})
      for (const size_t cache : {size_t(0), size_t(10 * kSize * kSize * 3), size_t(1) << 30})
        EXPECT_EQ(epochs({.batch = 7, .seed = 3, .threads = threads, .prefetch = prefetch, .cache_bytes = cache}),
                  wanted)
            << threads << " threads, prefetch " << prefetch << ", cache " << cache;
}

TEST_F(LoaderTest, AnEpochVisitsEachRowOnceInAnOrderOfItsOwn) {
  const auto all = epochs({.batch = 8, .seed = 3}, 2);
  std::vector<std::vector<int>> order(2);
  for (const Copy& c : all) order[c.epoch].insert(order[c.epoch].end(), c.rows.begin(), c.rows.end());
  for (const auto& epoch : order) EXPECT_EQ(std::set(epoch.begin(), epoch.end()), std::set(rows.begin(), rows.end()));
  EXPECT_EQ(order[0].size(), rows.size());
  EXPECT_NE(order[0], order[1]);
  EXPECT_NE(order[0], rows);
  EXPECT_EQ(all.back().rows.size(), rows.size() % 8 ? rows.size() % 8 : 8);
  EXPECT_NE(epochs({.batch = 8, .seed = 4}, 1)[0].rows, all[0].rows);
  EXPECT_EQ(epochs({.batch = 40, .shuffle = false, .seed = 4}, 1)[0].rows, rows);
}

TEST_F(LoaderTest, PixelsAndTargetsBelongToTheirRows) {
  for (const Copy& c : epochs({.batch = 8, .seed = 1}, 2))
    for (size_t i = 0; i < c.rows.size(); ++i) {
      const Label& label = dataset.labels()[c.rows[i]];
      const Image image = read_image(dataset.image_path(c.rows[i]));
      EXPECT_TRUE(std::equal(image.rgb.begin(), image.rgb.end(), c.pixels.begin() + long(i * image.rgb.size())));
      const Box box = c.flip[i] ? flip(label.box, kSize) : label.box;
      const std::vector<float> wanted{float(label.fake), box.x_min / 32.f, box.y_min / 32.f, box.x_max / 32.f,
                                      box.y_max / 32.f};
      EXPECT_EQ(std::vector<float>(c.targets.begin() + long(i * 5), c.targets.begin() + long(i * 5 + 5)), wanted);
      EXPECT_EQ(bool(c.flip[i]), flips(1, c.epoch, label.id));
    }
}

TEST_F(LoaderTest, ResumesAtAnyBatch) {
  const LoaderOptions options{.batch = 7, .seed = 9, .threads = 3};
  const auto all = epochs(options, 3);
  Loader loader(dataset, rows, with_boxes(options));
  for (const auto& [epoch, batch] : {std::pair{0, 3}, {1, 0}, {2, 4}}) {
    const auto rest = drain(loader, epoch, batch, 3);
    EXPECT_EQ(rest, std::vector<Copy>(all.begin() + epoch * 5 + batch, all.end()));
  }
  loader.start(0, 0, 3);  // and when left in the middle
  loader.next();
  EXPECT_EQ(drain(loader, 1, 2, 2), std::vector<Copy>(all.begin() + 7, all.begin() + 10));
  EXPECT_EQ(loader.next(), nullptr);
}

TEST_F(LoaderTest, ResizesAsTheImageDoes) {
  const Copy c = epochs({.batch = 4, .size = 20, .flip = false}, 1)[0];
  const Image wanted = resize(read_image(dataset.image_path(c.rows[2])), 20, 20, Filter::bilinear);
  EXPECT_TRUE(std::equal(wanted.rgb.begin(), wanted.rgb.end(), c.pixels.begin() + long(2 * wanted.rgb.size())));
}

TEST_F(LoaderTest, AnUnreadableImageSurfacesInItsBatchAndIsNamed) {
  const LoaderOptions options{.batch = 7, .seed = 2, .threads = 4};
  const auto all = epochs(options, 1);
  put(dataset.image_path(all[2].rows[1]), "rubbish");
  put(dataset.image_path(all[2].rows[4]), "rubbish");
  for (int round = 0; round < 20; ++round) {
    Loader loader(dataset, rows, with_boxes(options));
    loader.start(0, 0, 1);
    EXPECT_EQ(copy_of(*loader.next()), all[0]);
    EXPECT_EQ(copy_of(*loader.next()), all[1]);
    const std::string text = refusal([&] { loader.next(); });
    EXPECT_TRUE(text.starts_with(dataset.image_path(all[2].rows[1]))) << text;
    EXPECT_EQ(copy_of(*loader.next()), all[3]) << "the consumer may go on";
  }
}

TEST_F(LoaderTest, AnImageOfAnotherSizeIsNamed) {
  write_jpeg(dataset.image_path(rows[0]), test_picture(16, 32), 90);
  Loader loader(dataset, rows, {.batch = 4, .shuffle = false});
  loader.start(0, 0, 1);
  EXPECT_NE(refusal([&] { loader.next(); }).find("is 16x32, and dataset.json says 32x32"), std::string::npos);
}

TEST_F(LoaderTest, StopsCleanlyAtAnyMoment) {
  for (int i = 0; i < 60; ++i) {
    Loader loader(dataset, rows, {.batch = 3, .threads = 4, .prefetch = 1 + i % 5});
    if (i % 3) loader.start(0, 0, 1000);
    for (int k = 0; k < i % 4 && i % 3; ++k) loader.next();
  }
}

TEST_F(LoaderTest, ABatchStaysUntilTheNextCall) {
  Loader loader(dataset, rows, with_boxes({.batch = 3, .threads = 4, .prefetch = 2}));
  loader.start(0, 0, 50);
  for (int i = 0; i < 10; ++i) {
    const Batch* batch = loader.next();
    const Copy before = copy_of(*batch);
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    EXPECT_EQ(copy_of(*batch), before);
  }
}

TEST_F(LoaderTest, TheCacheDecodesOnce) {
  const int n = int(rows.size());
  for (const int fit : {0, 10, n}) {
    Loader loader(dataset, rows,
                  with_boxes({.batch = 5, .threads = 1, .cache_bytes = size_t(fit) * kSize * kSize * 3}));
    drain(loader, 0, 0, 4);
    const LoaderStats stats = loader.stats();
    EXPECT_EQ(stats.decoded, 4 * n - 3 * fit);
    EXPECT_EQ(stats.cached, 3 * fit);
    EXPECT_GT(stats.decode_rate(), 0);
    EXPECT_LE(stats.wait_seconds, stats.total_seconds);
  }
}

TEST_F(LoaderTest, SettingsOutOfRangeAreRefused) {
  refusal<UsageError>([&] { Loader(dataset, {}, {}); });
  refusal<UsageError>([&] { Loader(dataset, rows, {.batch = 0}); });
  refusal<UsageError>([&] { Loader(dataset, rows, {.prefetch = 0}); });
  refusal<UsageError>([&] { Loader(dataset, {99}, {}); });
  Loader loader(dataset, rows, {.batch = 10});
  EXPECT_EQ(loader.next(), nullptr);
  refusal<UsageError>([&] { loader.start(0, 3, 1); });
}

/// Masks, and windows of them: as the files say, mirrored with their image, the same whatever the threads.
class MaskedLoaderTest : public LoaderTest {
 protected:
  static constexpr int kWindow = 16;
  MaskedLoaderTest() {
    std::filesystem::create_directories(folder.path() + "/masks");
    for (const int row : rows) {
      const Label& label = dataset.labels()[row];
      if (label.fake) write_png(dataset.mask_path(row), rasterise(label.box, kSize, kSize));
    }
  }
  /// The mask as numbers, and whether anything of it is left.
  static LoaderOptions masked(LoaderOptions o, int side) {
    o.masks = true;
    o.targets = {{side * side,
                  [](const Truth& t, float* to) {
                    for (const uint8_t p : t.mask.pixels) *to++ = p >= 128;
                  }},
                 {1, [](const Truth& t, float* to) { *to = t.label.fake; }}};
    return o;
  }
  static void cut(Example& e, Random& random) {
    const int x = int(random.integer(0, kSize - kWindow)), y = int(random.integer(0, kSize - kWindow));
    e.image = crop(e.image, {x, y, x + kWindow, y + kWindow});
    Grey mask(kWindow, kWindow);
    for (int i = 0; i < kWindow * kWindow; ++i)
      mask.pixels[size_t(i)] = e.truth.mask.pixels[size_t((y + i / kWindow) * kSize + x + i % kWindow)];
    e.truth.mask = mask;
    e.truth.label.box = bounds_of(mask);
    e.truth.label.fake = !e.truth.label.box.empty();
    e.truth.width = e.truth.height = kWindow;
  }
};

TEST_F(MaskedLoaderTest, MasksLieOverTheirImages) {
  for (const size_t cache : {size_t(0), size_t(1) << 20}) {
    Loader loader(dataset, rows, masked({.batch = 8, .seed = 1, .cache_bytes = cache}, kSize));
    loader.start(0, 0, 2);
    int mirrored = 0;
    while (const Batch* b = loader.next())
      for (int i = 0; i < b->count; ++i) {
        const Label& label = dataset.labels()[b->rows[i]];
        const Grey wanted = rasterise(b->flip[i] && label.fake ? flip(label.box, kSize) : label.box, kSize, kSize);
        const float* mask = b->targets[0].data() + size_t(i) * kSize * kSize;
        for (int k = 0; k < kSize * kSize; ++k) ASSERT_EQ(mask[k], float(wanted.pixels[size_t(k)] >= 128)) << k;
        EXPECT_EQ(b->targets[1][size_t(i)], float(label.fake));
        EXPECT_EQ(b->fake[size_t(i)], uint8_t(label.fake));
        mirrored += b->flip[i] && label.fake;
      }
    EXPECT_GT(mirrored, 0);
  }
}

TEST_F(MaskedLoaderTest, AugmentationRepeatsWhateverTheThreads) {
  LoaderOptions options = masked({.batch = 7, .size = kWindow, .seed = 3, .threads = 1}, kWindow);
  options.augment = cut;
  Loader one(dataset, rows, options);
  const std::vector<Copy> wanted = drain(one, 0, 0, 2);
  EXPECT_NE(wanted[0].pixels, wanted[wanted.size() / 2].pixels) << "another epoch, other windows";
  for (const int threads : {2, 5}) {
    options.threads = threads;
    options.cache_bytes = size_t(threads) << 14;
    Loader loader(dataset, rows, options);
    EXPECT_EQ(drain(loader, 1, 2, 2), std::vector<Copy>(wanted.begin() + loader.batches() + 2, wanted.end()));
  }
  Loader loader(dataset, rows, options);
  loader.start(0, 0, 1);
  while (const Batch* b = loader.next())
    for (int i = 0; i < b->count; ++i) EXPECT_EQ(b->fake[size_t(i)], uint8_t(b->targets[1][size_t(i)]));
}

TEST_F(MaskedLoaderTest, WhatCannotBeIsRefused) {
  LoaderOptions options = masked({.batch = 7, .size = kWindow, .once = true}, kWindow);
  options.augment = cut;
  refusal<UsageError>([&] { Loader(dataset, rows, options); });
  options.once = false;
  options.size = 0;  // windows are smaller than the stored images
  Loader loader(dataset, rows, options);
  loader.start(0, 0, 1);
  EXPECT_NE(refusal<ShapeError>([&] { loader.next(); }).find("expected 32x32"), std::string::npos);
  std::filesystem::remove(dataset.mask_path(rows[1]));
  Loader lacking(dataset, rows, masked({.batch = 4, .shuffle = false}, kSize));
  lacking.start(0, 0, 1);
  EXPECT_TRUE(refusal([&] { lacking.next(); }).starts_with(dataset.mask_path(rows[1])));
}

TEST(EpochOrder, IsUniformEnough) {
  std::vector<int> at_zero(10);
  for (int epoch = 0; epoch < 5000; ++epoch) ++at_zero[size_t(epoch_order(10, 1, epoch)[0])];
  for (const int n : at_zero) EXPECT_NEAR(n, 500, 90);
  int mirrored = 0;
  for (int i = 0; i < 10000; ++i) mirrored += flips(1, i % 7, std::to_string(i));
  EXPECT_NEAR(mirrored, 5000, 200);
  int changed = 0;
  for (int i = 0; i < 10000; ++i) changed += flips(1, 0, std::to_string(i)) != flips(1, 1, std::to_string(i));
  EXPECT_NEAR(changed, 5000, 200) << "an epoch's flips must not be the one's before";
}

/// A consumer that keeps what is fresh, and after some batches starts over elsewhere.
TEST_F(LoaderTest, OnceHandsOutEachImageOnceToWhoeverKeepsIt) {
  for (const int size : {0, 20}) {
    LoaderOptions options{.batch = 7, .size = size, .seed = 3, .threads = 3};
    const auto wanted = epochs(options, 4);
    const size_t image = wanted[0].pixels.size() / 7;
    options.once = true;
    Loader loader(dataset, rows, with_boxes(options));
    std::vector<uint8_t> kept(rows.size() * image);
    int fresh = 0;
    const auto follow = [&](int epoch, int first, int batches) {
      loader.start(epoch, first, 4);
      for (int i = 0; i < batches; ++i) {
        const Batch* b = loader.next();
        ASSERT_NE(b, nullptr);
        Copy got = copy_of(*b);
        for (size_t k = 0; k < size_t(b->count); ++k) {
          const size_t sample = size_t(b->samples[k]);
          EXPECT_EQ(b->rows[k], rows[sample]);
          uint8_t* place = kept.data() + sample * image;
          fresh += b->fresh[k];
          if (b->fresh[k]) std::copy_n(b->pixels.data() + k * image, image, place);
          std::copy_n(place, image, got.pixels.data() + k * image);
        }
        EXPECT_EQ(got, wanted[size_t(b->epoch * loader.batches() + b->index)]) << b->epoch << " " << b->index;
      }
    };
    follow(0, 3, 2);  // more than these are decoded ahead by then, and are fresh again
    follow(1, 1, 3);
    follow(1, 4, 2 + loader.batches());
    EXPECT_EQ(size_t(fresh), rows.size());
    EXPECT_LT(loader.stats().decoded, int64_t(rows.size())) << "what was kept is not decoded again";
    follow(3, 0, loader.batches());
    EXPECT_EQ(loader.stats().decoded, 0);
    EXPECT_EQ(size_t(fresh), rows.size());
  }
}

}  // namespace
}  // namespace telltale
