#include "models/inpainter/photos.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/sha256.h"
#include "data/codec.h"
#include "data/loader.h"
#include "data/split.h"
#include "kernels/device/philox.h"

namespace telltale {
namespace {

constexpr size_t kBatchesAhead = 3;
constexpr uint64_t kCropStream = 0x4352'4f50'0000'0000u;  // apart from the shuffle's and the masks' random streams

}  // namespace

PhotoSplit split_photos(std::vector<Photo> photos, int held_out, int size, uint64_t seed, TaskPool& pool) {
  TT_CHECK(photos.size() >= 2, DataError, "one photograph is too few: one must train and one be held out");
  std::vector<std::future<std::string>> hashes;
  for (const Photo& p : photos) hashes.push_back(pool.submit([path = p.path] { return sha256_file(path); }));
  std::vector<std::string> digests;
  std::string text;
  std::vector<Photo> listed = std::exchange(photos, {});
  for (size_t i = 0; i < listed.size(); ++i) {
    try {
      digests.push_back(hashes[i].get());
    } catch (const DataError& e) {
      spdlog::warn("skipped {}", e.what());
      continue;
    }
    text += cat(listed[i].id, ",", digests.back(), "\n");
    photos.push_back(std::move(listed[i]));
  }
  TT_CHECK(photos.size() >= 2, DataError, "fewer than two photographs can be read: one must train and one be held out");
  const int validation = std::clamp(int(photos.size()) / 20, 1, held_out);
  const SplitPlan plan{.exact = true, .amount = {double(int(photos.size()) - validation), double(validation), 0}};
  const std::vector<Split> splits = assign_splits(plan, seed, digests);
  PhotoSplit result;
  std::vector<Photo> held;
  for (size_t i = 0; i < photos.size(); ++i) {
    (splits[i] == Split::train ? result.train : held).push_back(std::move(photos[i]));
  }
  // Without a held-out photograph there is no validation: for one that cannot be read, one that trains steps in.
  for (Photo& photo : held) {
    while (true) {
      try {
        result.validation.push_back({photo.id, centre_square(read_image(photo.path), size)});
        break;
      } catch (const DataError& e) {
        TT_CHECK(result.train.size() >= 2, DataError,
                 "fewer than two photographs can be read: one must train and one be held out");
        spdlog::warn("skipped {}", e.what());
        photo = std::move(result.train.back());
        result.train.pop_back();
      }
    }
  }
  result.digest = sha256({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  return result;
}

void write_sample(const Image& image, const Grey& mask, float black, float* to_image, float* to_mask) {
  std::transform(image.rgb.begin(), image.rgb.end(), to_image,
                 [&](uint8_t v) { return black + (1 - black) * (float(v) / 255.0f); });
  std::transform(mask.pixels.begin(), mask.pixels.end(), to_mask, [](uint8_t v) { return v >= 128 ? 1.0f : 0.0f; });
}

CropSource::CropSource(std::vector<Photo> photos, const CropSettings& s, TaskPool& pool)
    : photos_(std::move(photos)), s_(s), pool_(pool) {
  start(0);
}

CropSource::~CropSource() {
  for (auto& batch : ahead_) batch.wait();  // tasks look at this object
}

void CropSource::start(int64_t k) {
  for (auto& batch : ahead_) batch.wait();
  ahead_.clear();
  issued_ = k;
}

void CropSource::prefetch() {
  while (ahead_.size() < kBatchesAhead) {
    ahead_.push_back(pool_.submit([this, k = issued_] { return make(k); }));
    ++issued_;
  }
}

PaintBatch CropSource::next() {
  prefetch();
  std::future<PaintBatch> first = std::move(ahead_.front());
  ahead_.pop_front();
  PaintBatch batch = first.get();
  prefetch();
  return batch;
}

PaintBatch CropSource::make(int64_t k) {
  const size_t pixels = size_t(s_.size) * size_t(s_.size);
  PaintBatch batch{std::vector<float>(size_t(s_.batch) * pixels * 3), std::vector<float>(size_t(s_.batch) * pixels)};
  for (int i = 0; i < s_.batch; ++i) {
    if (s_.mine && !s_.mine(i)) continue;
    cut(k * s_.batch + i, batch.images.data() + size_t(i) * pixels * 3, batch.masks.data() + size_t(i) * pixels);
  }
  return batch;
}

void CropSource::cut(int64_t sample, float* image, float* mask) {
  const int64_t count = int64_t(photos_.size());
  const std::vector<int> order = epoch_order(int(count), s_.seed, int(sample / count));
  Image photo = photograph(size_t(order[size_t(sample % count)]));
  Random random(s_.seed, kCropStream + uint64_t(sample));
  const int shorter = std::min(photo.width, photo.height);
  const int least = std::min(shorter, std::max(s_.size, int(std::lround(s_.min_crop * shorter))));
  const int most = std::clamp(int(std::lround(s_.max_crop * shorter)), least, shorter);
  const int side = int(random.integer(least, most));
  const int x = int(random.integer(0, photo.width - side)), y = int(random.integer(0, photo.height - side));
  const bool mirrored = random.uniform() < 0.5;
  if (side != photo.width || side != photo.height) photo = crop(photo, {x, y, x + side, y + side});
  if (side != s_.size) photo = resize(photo, s_.size, s_.size, Filter::lanczos);
  if (s_.flip && mirrored) photo = flip(photo);
  write_sample(photo, draw_mask(s_.law, s_.size, s_.size, s_.seed, cat("training ", sample), s_.area), s_.black, image,
               mask);
}

Image CropSource::photograph(size_t index) {
  for (size_t i = 0; i < photos_.size(); ++i) {
    const size_t at = (index + i) % photos_.size();
    try {
      return read_image(photos_[at].path);
    } catch (const DataError& e) {
      const std::lock_guard lock(warned_mutex_);
      if (warned_.insert(at).second) spdlog::warn("skipped {}", e.what());
    }
  }
  throw DataError(cat("none of the ", photos_.size(), " photographs can be read"));
}

}  // namespace telltale
