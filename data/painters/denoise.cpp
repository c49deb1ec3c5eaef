// The region without its noise: median, bilateral filter or non-local means, one drawn.
#include <algorithm>
#include <array>
#include <cmath>

#include "data/painters/painter.h"
#include "data/painters/reprocess.h"

namespace telltale {
namespace {

/// The pixel at (x, y), the edge repeated.
const float* clamped(const Picture& p, int x, int y) {
  return p.at(std::clamp(x, 0, p.width - 1), std::clamp(y, 0, p.height - 1));
}

/// Each channel's median over (2·radius + 1)².
Picture median(const Picture& piece, int radius) {
  Picture out(piece.width, piece.height);
  std::vector<float> values;
  for (int y = 0; y < piece.height; ++y)
    for (int x = 0; x < piece.width; ++x)
      for (int c = 0; c < 3; ++c) {
        values.clear();
        for (int v = y - radius; v <= y + radius; ++v)
          for (int u = x - radius; u <= x + radius; ++u) values.push_back(clamped(piece, u, v)[c]);
        const auto middle = values.begin() + ptrdiff_t(values.size() / 2);
        std::nth_element(values.begin(), middle, values.end());
        out.at(x, y)[c] = *middle;
      }
  return out;
}

/// Tomasi and Manduchi 1998: near in place and in colour counts.
Picture bilateral(const Picture& piece, double sigma, double levels) {
  const int reach = int(std::ceil(2 * sigma));
  const float place = float(-1 / (2 * sigma * sigma)), colour = float(-255.0 * 255 / (2 * levels * levels * 3));
  Picture out(piece.width, piece.height);
  for (int y = 0; y < piece.height; ++y)
    for (int x = 0; x < piece.width; ++x) {
      const float* here = piece.at(x, y);
      float sum[3] = {0, 0, 0}, weights = 0;
      for (int v = -reach; v <= reach; ++v)
        for (int u = -reach; u <= reach; ++u) {
          const float* there = clamped(piece, x + u, y + v);
          float apart = 0;
          for (int c = 0; c < 3; ++c) apart += (there[c] - here[c]) * (there[c] - here[c]);
          const float weight = std::exp(place * float(u * u + v * v) + colour * apart);
          for (int c = 0; c < 3; ++c) sum[c] += weight * there[c];
          weights += weight;
        }
      for (int c = 0; c < 3; ++c) out.at(x, y)[c] = sum[c] / weights;
    }
  return out;
}

/// Buades et al. 2005, a displacement at a time: the distances of all patches to those displaced come from sliding
/// sums.
Picture non_local_means(const Picture& piece, double levels) {
  constexpr int kReach = 5, kPatch = 1, kSide = 2 * kPatch + 1;
  const int w = piece.width, h = piece.height;
  const float falloff = float(-255.0 * 255 / (levels * levels * 3 * kSide * kSide));
  Picture sum(w, h);
  std::vector<float> weights(size_t(w) * size_t(h)), apart(weights.size()), across(weights.size());
  for (int dy = -kReach; dy <= kReach; ++dy)
    for (int dx = -kReach; dx <= kReach; ++dx) {
      for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x) {
          const float *a = piece.at(x, y), *b = clamped(piece, x + dx, y + dy);
          const float r = a[0] - b[0], g = a[1] - b[1], u = a[2] - b[2];
          apart[size_t(y) * size_t(w) + size_t(x)] = r * r + g * g + u * u;
        }
      for (int y = 0; y < h; ++y) {
        const float* line = &apart[size_t(y) * size_t(w)];
        for (int x = 0; x < w; ++x)
          across[size_t(y) * size_t(w) + size_t(x)] = line[std::max(0, x - 1)] + line[x] + line[std::min(w - 1, x + 1)];
      }
      for (int y = 0; y < h; ++y) {
        const float *up = &across[size_t(std::max(0, y - 1)) * size_t(w)], *mid = &across[size_t(y) * size_t(w)],
                    *down = &across[size_t(std::min(h - 1, y + 1)) * size_t(w)];
        for (int x = 0; x < w; ++x) {
          const float weight = std::exp(falloff * (up[x] + mid[x] + down[x]));
          const float* b = clamped(piece, x + dx, y + dy);
          for (int c = 0; c < 3; ++c) sum.at(x, y)[c] += weight * b[c];
          weights[size_t(y) * size_t(w) + size_t(x)] += weight;
        }
      }
    }
  for (size_t i = 0; i < sum.rgb.size(); ++i) sum.rgb[i] /= weights[i / 3];
  return sum;
}

Picture paint_denoise(const PaintTask& task, Random& random) {
  constexpr int kMargin = 8;
  const int64_t which = random.integer(0, 2);
  const double strength = random.uniform();
  return change_around(task.photo, task.mask, kMargin, [&](const Picture& piece) {
    if (which == 0) return median(piece, strength < .6 ? 1 : 2);
    if (which == 1) return bilateral(piece, 1 + strength, 8 + 22 * strength);
    return non_local_means(piece, 6 + 14 * strength);
  });
}

const bool kKnown = register_painter({"denoise", PainterKind::reprocess, paint_denoise});

}  // namespace
}  // namespace telltale
