#include "data/painters/random_layers.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/cholesky.h"

namespace telltale {
namespace {

std::vector<float> drawn(size_t count, int fan_in, Random& random) {
  std::vector<float> weights(count);
  for (float& w : weights) w = float(random.normal() / std::sqrt(double(fan_in)));
  return weights;
}

/// to[x] += weight · from[x + shift], the edge of `from` repeated.
void add_shifted(float* to, const float* from, int width, int shift, float weight) {
  const int begin = std::clamp(-shift, 0, width), end = std::clamp(width - shift, 0, width);
  for (int x = 0; x < begin; ++x) to[x] += weight * from[0];
  for (int x = begin; x < end; ++x) to[x] += weight * from[x + shift];
  for (int x = std::max(begin, end); x < width; ++x) to[x] += weight * from[width - 1];
}

/// weights: out × in × 9.
Maps convolved(const Maps& in, int channels, const std::vector<float>& weights) {
  Maps out(channels, in.height, in.width);
  for (int o = 0; o < channels; ++o)
    for (int i = 0; i < in.channels; ++i)
      for (int k = 0; k < 9; ++k) {
        const float w = weights[(size_t(o) * size_t(in.channels) + size_t(i)) * 9 + size_t(k)];
        for (int y = 0; y < in.height; ++y)
          add_shifted(out.row(o, y), in.row(i, std::clamp(y + k / 3 - 1, 0, in.height - 1)), in.width, k % 3 - 1, w);
      }
  return out;
}

/// Half of the channels stay linear, so that what went in can be had back.
void activate(Maps& maps) {
  normalise(maps);
  const auto half = ptrdiff_t(maps.values.size() / 2);
  for (auto v = maps.values.begin(); v != maps.values.begin() + half; ++v) *v = *v > 0 ? *v : .2f * *v;
}

Maps twice_nearest(const Maps& in) {
  Maps out(in.channels, in.height * 2, in.width * 2);
  for (int c = 0; c < out.channels; ++c)
    for (int y = 0; y < out.height; ++y)
      for (int x = 0; x < out.width; ++x) out.row(c, y)[x] = in.row(c, y / 2)[x / 2];
  return out;
}

/// Half-pixel centres, as interpolation without aligned corners has them.
Maps twice_bilinear(const Maps& in) {
  Maps out(in.channels, in.height * 2, in.width * 2);
  for (int c = 0; c < out.channels; ++c)
    for (int y = 0; y < out.height; ++y) {
      const int near_y = y / 2, far_y = std::clamp(near_y + (y % 2 ? 1 : -1), 0, in.height - 1);
      for (int x = 0; x < out.width; ++x) {
        const int near_x = x / 2, far_x = std::clamp(near_x + (x % 2 ? 1 : -1), 0, in.width - 1);
        out.row(c, y)[x] = .75f * (.75f * in.row(c, near_y)[near_x] + .25f * in.row(c, near_y)[far_x]) +
                           .25f * (.75f * in.row(c, far_y)[near_x] + .25f * in.row(c, far_y)[far_x]);
      }
    }
  return out;
}

Maps transposed(const Maps& in, int channels, Random& random) {
  const int size = int(random.integer(2, 5)), before = (size - 1) / 2;
  const std::vector<float> weights =
      drawn(size_t(channels) * size_t(in.channels) * size_t(size * size), in.channels * size * size / 4 + 1, random);
  Maps out(channels, in.height * 2, in.width * 2);
  for (int o = 0; o < channels; ++o)
    for (int i = 0; i < in.channels; ++i)
      for (int v = 0; v < size; ++v)
        for (int u = 0; u < size; ++u) {
          const float w =
              weights[((size_t(o) * size_t(in.channels) + size_t(i)) * size_t(size) + size_t(v)) * size_t(size) +
                      size_t(u)];
          for (int y = 0; y < in.height; ++y) {
            const int to_y = 2 * y + v - before;
            if (to_y < 0 || to_y >= out.height) continue;
            float* to = out.row(o, to_y);
            const float* from = in.row(i, y);
            for (int x = 0; x < in.width; ++x)
              if (const int to_x = 2 * x + u - before; to_x >= 0 && to_x < out.width) to[to_x] += w * from[x];
          }
        }
  return out;
}

Maps shuffled(const Maps& in, int channels, Random& random) {
  const Maps wide =
      convolved(in, channels * 4, drawn(size_t(channels) * 4 * size_t(in.channels) * 9, in.channels * 9, random));
  Maps out(channels, in.height * 2, in.width * 2);
  for (int c = 0; c < channels; ++c)
    for (int y = 0; y < out.height; ++y)
      for (int x = 0; x < out.width; ++x) out.row(c, y)[x] = wide.row(4 * c + 2 * (y % 2) + x % 2, y / 2)[x / 2];
  return out;
}

}  // namespace

void normalise(Maps& maps) {
  const size_t plane = size_t(maps.height) * size_t(maps.width);
  for (int c = 0; c < maps.channels; ++c) {
    float* v = maps.row(c, 0);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < plane; ++i) sum += double(v[i]);
    const double mean = sum / double(plane);
    for (size_t i = 0; i < plane; ++i) squares += (double(v[i]) - mean) * (double(v[i]) - mean);
    const double variance = squares / double(plane);
    const float scale = variance > 1e-12 ? float(1 / std::sqrt(variance)) : 0;
    for (size_t i = 0; i < plane; ++i) v[i] = (v[i] - float(mean)) * scale;
  }
}

Maps mixed(const Maps& in, int channels, Random& random) {
  Maps out = convolved(in, channels, drawn(size_t(channels) * size_t(in.channels) * 9, in.channels * 9, random));
  activate(out);
  return out;
}

Maps enlarged(const Maps& in, int channels, Enlarging way, Random& random) {
  if (way == Enlarging::nearest) return mixed(twice_nearest(in), channels, random);
  if (way == Enlarging::bilinear) return mixed(twice_bilinear(in), channels, random);
  Maps out = way == Enlarging::transposed ? transposed(in, channels, random) : shuffled(in, channels, random);
  activate(out);
  return out;
}

Picture fitted(const Maps& maps, const Picture& target) {
  TT_CHECK(maps.width >= target.width && maps.height >= target.height, ShapeError, "maps of ", maps.width, "x",
           maps.height, " cannot draw a picture of ", target.width, "x", target.height);
  constexpr size_t kRows = 4000;
  const size_t n = size_t(maps.channels) * 9 + 1, pixels = size_t(target.width) * size_t(target.height);
  const size_t step = std::max<size_t>(1, pixels / kRows);
  std::vector<double> a(n * n), b(n * 3);
  std::vector<double> row(n);
  for (size_t p = 0; p < pixels; p += step) {
    const int x = int(p % size_t(target.width)), y = int(p / size_t(target.width));
    for (size_t k = 0; k + 1 < n; ++k) {
      const int tap = int(k % 9);
      row[k] = double(maps.row(
          int(k / 9), std::clamp(y + tap / 3 - 1, 0, maps.height - 1))[std::clamp(x + tap % 3 - 1, 0, maps.width - 1)]);
    }
    row[n - 1] = 1;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j <= i; ++j) a[i * n + j] += row[i] * row[j];
      for (size_t c = 0; c < 3; ++c) b[i * 3 + c] += row[i] * double(target.at(x, y)[c]);
    }
  }
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += a[i * n + i];
  for (size_t i = 0; i < n; ++i) a[i * n + i] += 1e-3 * trace / double(n) + 1e-9;
  solve_positive_definite(a, b, n, 3);
  std::vector<float> weights(3 * (n - 1));
  for (size_t c = 0; c < 3; ++c)
    for (size_t k = 0; k + 1 < n; ++k) weights[c * (n - 1) + k] = float(b[k * 3 + c]);
  const Maps planes = convolved(maps, 3, weights);
  Picture out(target.width, target.height);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x)
      for (int c = 0; c < 3; ++c) out.at(x, y)[c] = planes.row(c, y)[x] + float(b[(n - 1) * 3 + size_t(c)]);
  return out;
}

}  // namespace telltale
