#include "models/inpainter/image_quality.h"

#include <array>
#include <cmath>

#include "base/check.h"

namespace telltale {
namespace {

using Plane = std::vector<double>;

bool in_hole(const Grey& mask, size_t i) { return mask.pixels[i] >= 128; }

/// A Gaussian window, cut where the image ends and weighted anew there, along rows and then columns.
Plane blurred(const Plane& from, int width, int height) {
  constexpr int kReach = 5;
  std::array<double, kReach + 1> weight;
  for (int d = 0; d <= kReach; ++d) weight[size_t(d)] = std::exp(-d * d / (2 * 1.5 * 1.5));
  const auto pass = [&](const Plane& x, int along, ptrdiff_t step, int across, ptrdiff_t line) {
    Plane y(x.size());
    for (int l = 0; l < across; ++l) {
      for (int i = 0; i < along; ++i) {
        double sum = 0, total = 0;
        for (int d = std::max(-kReach, -i); d <= std::min(kReach, along - 1 - i); ++d) {
          const double w = weight[size_t(std::abs(d))];
          sum += w * x[size_t(l * line + (i + d) * step)];
          total += w;
        }
        y[size_t(l * line + i * step)] = sum / total;
      }
    }
    return y;
  };
  return pass(pass(from, width, 1, height, width), height, width, width, 1);
}

Plane channel(const Image& image, int c) {
  Plane plane(size_t(image.width) * size_t(image.height));
  for (size_t i = 0; i < plane.size(); ++i) plane[i] = image.rgb[i * 3 + size_t(c)];
  return plane;
}

Plane product(const Plane& a, const Plane& b) {
  Plane y(a.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = a[i] * b[i];
  return y;
}

/// Sum of one channel's SSIM map over the hole.
double ssim_sum(const Plane& x, const Plane& y, const Grey& mask) {
  constexpr double kC1 = (.01 * 255) * (.01 * 255), kC2 = (.03 * 255) * (.03 * 255);
  const int w = mask.width, h = mask.height;
  const Plane mx = blurred(x, w, h), my = blurred(y, w, h);
  const Plane xx = blurred(product(x, x), w, h), yy = blurred(product(y, y), w, h), xy = blurred(product(x, y), w, h);
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!in_hole(mask, i)) continue;
    const double var_x = xx[i] - mx[i] * mx[i], var_y = yy[i] - my[i] * my[i], cov = xy[i] - mx[i] * my[i];
    sum +=
        (2 * mx[i] * my[i] + kC1) * (2 * cov + kC2) / ((mx[i] * mx[i] + my[i] * my[i] + kC1) * (var_x + var_y + kC2));
  }
  return sum;
}

}  // namespace

HoleQuality hole_quality(const Image& truth, const Image& painted, const Grey& mask) {
  TT_CHECK(truth.width == painted.width && truth.height == painted.height && truth.width == mask.width &&
               truth.height == mask.height,
           ShapeError, "hole_quality: images of ", truth.width, "x", truth.height, " and ", painted.width, "x",
           painted.height, " under a mask of ", mask.width, "x", mask.height);
  double squares = 0, absolute = 0, count = 0;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (!in_hole(mask, i)) continue;
    for (size_t k = i * 3; k < i * 3 + 3; ++k) {
      const double d = double(truth.rgb[k]) - double(painted.rgb[k]);
      squares += d * d;
      absolute += std::abs(d);
    }
    count += 3;
  }
  TT_CHECK(count > 0, ShapeError, "hole_quality: the hole is empty");
  double similar = 0;
  for (int c = 0; c < 3; ++c) similar += ssim_sum(channel(truth, c), channel(painted, c), mask);
  return {10 * std::log10(255.0 * 255.0 * count / squares), similar / count, absolute / count};
}

Image mean_colour_fill(const Image& photo, const Grey& mask) {
  std::array<double, 3> sum{};
  double count = 0;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (in_hole(mask, i)) continue;
    for (size_t c = 0; c < 3; ++c) sum[c] += photo.rgb[i * 3 + c];
    ++count;
  }
  Image filled = photo;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (!in_hole(mask, i)) continue;
    for (size_t c = 0; c < 3; ++c) filled.rgb[i * 3 + c] = uint8_t(std::lround(count > 0 ? sum[c] / count : 128));
  }
  return filled;
}

double hole_contrast(const Image& image, const Grey& mask) {
  double variance = 0;
  for (size_t c = 0; c < 3; ++c) {
    double sum = 0, squares = 0, count = 0;
    for (size_t i = 0; i < mask.pixels.size(); ++i) {
      if (!in_hole(mask, i)) continue;
      const double v = image.rgb[i * 3 + c];
      sum += v;
      squares += v * v;
      ++count;
    }
    if (count > 0) variance += std::max(0.0, squares / count - sum / count * (sum / count)) / 3;
  }
  return std::sqrt(variance);
}

}  // namespace telltale
