#pragma once
// A dataset that a small detector learns in seconds: squares of noise as fakes.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/sha256.h"
#include "data/codec.h"
#include "data/dataset.h"
#include "kernels/device/philox.h"

namespace telltale {

inline constexpr int kNoiseSize = 64;  ///< of its pictures

/// A smooth gradient; a fake has a square of noise.
inline Image noise_picture(Random& random, const Box& box) {
  Image image(kNoiseSize, kNoiseSize);
  double gradient[3][3];
  for (auto& channel : gradient) {
    channel[0] = random.uniform(60, 190);
    channel[1] = random.uniform(-0.9, 0.9);
    channel[2] = random.uniform(-0.9, 0.9);
  }
  for (int y = 0; y < kNoiseSize; ++y) {
    for (int x = 0; x < kNoiseSize; ++x) {
      const bool inside = x >= box.x_min && x < box.x_max && y >= box.y_min && y < box.y_max;
      for (int c = 0; c < 3; ++c) {
        const double smooth =
            gradient[c][0] + gradient[c][1] * (x - kNoiseSize / 2) + gradient[c][2] * (y - kNoiseSize / 2);
        image.at(x, y)[c] = uint8_t(inside ? random.integer(0, 255) : std::clamp(smooth, 0.0, 255.0));
      }
    }
  }
  return image;
}

inline void make_dataset(const std::string& dir, int train, int validation, int test) {
  std::filesystem::create_directories(dir + "/images");
  Random random(7);
  std::vector<Label> labels;
  DatasetInfo info;
  info.size = kNoiseSize;
  info.codec = "png";
  info.quality = 0;
  info.inpainter = "noise";
  info.weights_sha256 = sha256({});
  for (int i = 0; i < train + validation + test; ++i) {
    Label label;
    label.id = cat("photo", i);
    label.fake = i % 2 == 0;
    label.split = i < train ? Split::train : i < train + validation ? Split::validation : Split::test;
    if (label.fake) {
      const int x = int(random.integer(0, 30)), y = int(random.integer(0, 30));
      label.box = {x, y, x + int(random.integer(16, 32)), y + int(random.integer(16, 32))};
    }
    write_png(dir + "/images/" + label.id + ".png", noise_picture(random, label.box));
    info.fakes += label.fake;
    labels.push_back(label);
  }
  info.images = int64_t(labels.size());
  write_labels(dir + "/labels.csv", labels);
  write_dataset_info(dir, info);
}

}  // namespace telltale
