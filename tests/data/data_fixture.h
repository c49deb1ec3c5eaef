#pragma once
// What the data tests share: folders that vanish, and pictures with something in them.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/check.h"
#include "data/codec.h"
#include "data/dataset.h"
#include "kernels/device/philox.h"

namespace telltale {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "telltale-XXXXXX").string();
    if (!mkdtemp(name.data())) throw DataError("cannot make a temporary folder");
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

template <class Bytes>
void put(const std::string& path, const Bytes& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
}
inline void put(const std::string& path, const char* text) { put(path, std::string(text)); }

/// Smooth, asymmetric in both axes, coloured: JPEG changes it little, and any flip or swap of channels shows.
inline Image test_picture(int width, int height, int kind = 0) {
  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      uint8_t* p = image.at(x, y);
      p[0] = uint8_t(230 * x / width);
      p[1] = uint8_t(230 * y / height);
      p[2] = uint8_t(127 + 100 * std::sin(.11 * x + .07 * y + kind));
    }
  return image;
}

inline double mean_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height) return 1e9;
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int(a.rgb[i]) - int(b.rgb[i]));
  return sum / double(a.rgb.size());
}

/// The text of the Type that `body` throws; a failure when it throws none or another.
template <class Type = DataError, class F>
std::string refusal(F body) {
  try {
    body();
  } catch (const Type& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find('\n'), text.npos) << "not one line: " << text;
    return text;
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

/// `count` images of size × size, every other one fake, split train but for the last quarter (test).
inline void write_dataset(const std::string& dir, int count, int size) {
  std::vector<Label> labels;
  for (int i = 0; i < count; ++i) {
    const std::string id = "img" + std::to_string(1000 + i);
    std::filesystem::create_directories(dir + "/images");
    write_jpeg(dir + "/images/" + id + ".jpg", test_picture(size, size, i), 90);
    const bool fake = i % 2 == 1;
    labels.push_back({id, fake, fake ? Box{i % 5, 2, size / 2 + i % 7, size - 1} : Box{},
                      i < count * 3 / 4 ? Split::train : Split::test});
  }
  write_labels(dir + "/labels.csv", labels);
  DatasetInfo info;
  info.size = size;
  info.images = count;
  info.fakes = count / 2;
  write_dataset_info(dir, info);
}

}  // namespace telltale
