// Telea 2004, "An image inpainting technique based on the fast marching method": each pixel a weighted mean of what is
// known around it, from the border inwards.
#include <algorithm>
#include <cmath>

#include "data/painters/fast_march.h"
#include "data/painters/painter.h"

namespace telltale {
namespace {

constexpr int kRadius = 5;
// Gradients are carried on by this much per pixel at most, and the less the deeper in the hole: texture's, carried on,
// would run away.
constexpr float kMostStep = 2.0f / 255, kFade = 5;

void fill(Picture& out, const FastMarch& march, int x, int y) {
  const auto time_at = [&](int u, int v) { return march.time(u, v); };
  const float now = march.time(x, y);
  const float nx = march.difference(x, y, 1, 0, time_at), ny = march.difference(x, y, 0, 1, time_at);
  float sum[3] = {0, 0, 0}, step[3] = {0, 0, 0}, weights = 0;
  for (int v = std::max(0, y - kRadius); v <= std::min(out.height - 1, y + kRadius); ++v)
    for (int u = std::max(0, x - kRadius); u <= std::min(out.width - 1, x + kRadius); ++u) {
      const float rx = float(x - u), ry = float(y - v), squared = rx * rx + ry * ry;
      if (squared > kRadius * kRadius || squared == 0 || !march.known(u, v)) continue;
      const float along = std::max(std::abs(rx * nx + ry * ny) / std::sqrt(squared), 1e-6f);
      const float weight = along / squared / (1 + std::abs(march.time(u, v) - now));
      for (int c = 0; c < 3; ++c) {
        const auto value_at = [&](int p, int q) { return out.at(p, q)[c]; };
        sum[c] += weight * value_at(u, v);
        step[c] += weight * (rx * march.difference(u, v, 1, 0, value_at) + ry * march.difference(u, v, 0, 1, value_at));
      }
      weights += weight;
    }
  const float most = kMostStep * std::exp(-now / kFade);
  for (int c = 0; c < 3; ++c)  // a neighbour along one of the axes is known, so there is weight
    out.at(x, y)[c] = std::clamp(sum[c] / weights + std::clamp(step[c] / weights, -most, most), 0.0f, 1.0f);
}

Picture paint_telea(const PaintTask& task, Random&) {
  Picture out = task.photo;
  FastMarch march(task.mask, 2 * kRadius);
  if (!march.run([&](int x, int y) { fill(out, march, x, y); })) std::fill(out.rgb.begin(), out.rgb.end(), 0.5f);
  return out;
}

const bool kKnown = register_painter({"telea", PainterKind::inpaint, paint_telea});

}  // namespace
}  // namespace telltale
