#include "data/image.h"

#include <cmath>
#include <numbers>

#include "base/check.h"

namespace telltale {

namespace {

double kernel(Filter filter, double x) {
  x = std::abs(x);
  if (filter == Filter::bilinear) return x < 1 ? 1 - x : 0;
  if (x >= 3) return 0;
  if (x < 1e-8) return 1;
  const double a = std::numbers::pi * x;
  return 3 * std::sin(a) * std::sin(a / 3) / (a * a);
}

// One output's inputs: weights of `first`, `first + 1`, …
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

std::vector<Taps> taps_of(int in, int out, Filter filter) {
  const double scale = double(in) / out, stretch = std::max(scale, 1.0);
  const double support = (filter == Filter::bilinear ? 1 : 3) * stretch;
  std::vector<Taps> all(out);
  for (int i = 0; i < out; ++i) {
    const double centre = (i + .5) * scale;
    const int first = std::max(0, int(std::lround(centre - support))),
              last = std::min(in, int(std::lround(centre + support)));
    std::vector<double> w(last - first);
    double sum = 0;
    for (int k = first; k < last; ++k) sum += w[k - first] = kernel(filter, (k - centre + .5) / stretch);
    all[i].first = first;
    for (const double v : w) all[i].weights.push_back(float(v / sum));
  }
  return all;
}

uint8_t to_byte(float v) { return uint8_t(std::clamp(v + .5f, 0.f, 255.f)); }

void check_crop(const Box& box, int width, int height) {
  TT_CHECK(!box.empty() && inside(box, width, height), ShapeError, "crop: box ", box.x_min, ",", box.y_min, "..",
           box.x_max, ",", box.y_max, " does not lie in an image of ", width, "x", height);
}

}  // namespace

Image resize(const Image& image, int width, int height, Filter filter) {
  TT_CHECK(width > 0 && height > 0 && image.width > 0 && image.height > 0, ShapeError, "resize: from ", image.width,
           "x", image.height, " to ", width, "x", height, ": sizes must be positive");
  if (width == image.width && height == image.height) return image;
  const auto columns = taps_of(image.width, width, filter), rows = taps_of(image.height, height, filter);
  std::vector<float> half(size_t(image.height) * width * 3);
  for (int y = 0; y < image.height; ++y) {
    float* to = half.data() + size_t(y) * width * 3;
    for (const Taps& t : columns) {
      const uint8_t* from = image.at(t.first, y);
      float r = 0, g = 0, b = 0;
      for (const float w : t.weights) {
        r += w * from[0];
        g += w * from[1];
        b += w * from[2];
        from += 3;
      }
      *to++ = r;
      *to++ = g;
      *to++ = b;
    }
  }
  Image out(width, height);
  const size_t stride = size_t(width) * 3;
  std::vector<float> line(stride);
  for (int y = 0; y < height; ++y) {
    std::fill(line.begin(), line.end(), 0.f);
    for (size_t k = 0; k < rows[y].weights.size(); ++k) {
      const float w = rows[y].weights[k];
      const float* from = half.data() + (rows[y].first + k) * stride;
      for (size_t i = 0; i < stride; ++i) line[i] += w * from[i];
    }
    uint8_t* to = out.at(0, y);
    for (size_t i = 0; i < stride; ++i) to[i] = to_byte(line[i]);
  }
  return out;
}

Grey crop(const Grey& image, const Box& box) {
  check_crop(box, image.width, image.height);
  Grey out(box.width(), box.height());
  for (int y = 0; y < out.height; ++y)
    std::copy_n(&image.pixels[size_t(box.y_min + y) * size_t(image.width) + size_t(box.x_min)], size_t(out.width),
                &out.pixels[size_t(y) * size_t(out.width)]);
  return out;
}

Image crop(const Image& image, const Box& box) {
  check_crop(box, image.width, image.height);
  Image out(box.width(), box.height());
  for (int y = 0; y < out.height; ++y)
    std::copy_n(image.at(box.x_min, box.y_min + y), size_t(out.width) * 3, out.at(0, y));
  return out;
}

Image centre_square(const Image& image, int size) {
  const int side = std::min(image.width, image.height);
  const int x = (image.width - side) / 2, y = (image.height - side) / 2;
  if (x == 0 && y == 0) return resize(image, size, size, Filter::lanczos);
  return resize(crop(image, {x, y, x + side, y + side}), size, size, Filter::lanczos);
}

Image flip(const Image& image) {
  Image out(image.width, image.height);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) std::copy_n(image.at(image.width - 1 - x, y), 3, out.at(x, y));
  return out;
}

}  // namespace telltale
