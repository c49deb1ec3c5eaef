#pragma once
// Pictures in host memory: 8-bit, row-major, no padding between rows.
#include <cstdint>
#include <string>
#include <vector>

#include "data/boxes.h"

namespace telltale {

/// 8-bit sRGB, `rgb` is height·width·3 bytes.
struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;
  Image() = default;
  Image(int w, int h) : width(w), height(h), rgb(size_t(w) * h * 3) {}
  uint8_t* at(int x, int y) { return rgb.data() + (size_t(y) * width + x) * 3; }
  const uint8_t* at(int x, int y) const { return rgb.data() + (size_t(y) * width + x) * 3; }
  bool operator==(const Image&) const = default;
};

/// 8-bit grey, `pixels` is height·width bytes; a mask holds 255 inside and 0 outside.
struct Grey {
  int width = 0, height = 0;
  std::vector<uint8_t> pixels;
  Grey() = default;
  Grey(int w, int h) : width(w), height(h), pixels(size_t(w) * h) {}
  bool operator==(const Grey&) const = default;
};

/// What was odd about files that were read all the same: lines "name: …", without consequences for the pixels.
using Remarks = std::vector<std::string>;

enum class Filter { bilinear, lanczos };

/// Separable resampling with half-pixel centres; the kernel (triangle, or Lanczos of 3 lobes) widens when shrinking, so
/// nothing aliases. Bilinear agrees with torchvision's antialiased resize, Lanczos with Pillow's, within one level.
/// Sizes must be positive, else ShapeError.
Image resize(const Image& image, int width, int height, Filter filter);

/// The part inside `box`, which must lie within the image and be non-empty, else ShapeError.
Image crop(const Image& image, const Box& box);
Grey crop(const Grey& image, const Box& box);

/// The largest centred square, shrunk or enlarged to size × size by Lanczos: how photographs become a dataset's images.
Image centre_square(const Image& image, int size);

/// Mirrors left and right.
Image flip(const Image& image);

}  // namespace telltale
