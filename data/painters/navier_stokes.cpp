// After Bertalmio, Bertozzi and Sapiro 2001, "Navier-Stokes, fluid dynamics, and image and video inpainting": lines of
// equal brightness flow on into the hole as an ideal fluid's streamlines do. Their equations are not solved in time:
// one pass from the border inwards gives each pixel the mean of its surroundings, weighted by how straight the
// streamline through them leads to it.
#include <algorithm>
#include <cmath>

#include "data/luma.h"
#include "data/painters/fast_march.h"
#include "data/painters/painter.h"

namespace telltale {
namespace {

constexpr int kRadius = 4;
constexpr float kDiffusion = .02f;  // what still counts across streamlines

void fill(Picture& out, const FastMarch& march, int x, int y) {
  const auto grey = [&](int u, int v) { return luma(out.at(u, v)); };
  float sum[3] = {0, 0, 0}, weights = 0;
  for (int v = std::max(0, y - kRadius); v <= std::min(out.height - 1, y + kRadius); ++v)
    for (int u = std::max(0, x - kRadius); u <= std::min(out.width - 1, x + kRadius); ++u) {
      const float rx = float(x - u), ry = float(y - v), squared = rx * rx + ry * ry;
      if (squared > kRadius * kRadius || squared == 0 || !march.known(u, v)) continue;
      const float gx = march.difference(u, v, 1, 0, grey), gy = march.difference(u, v, 0, 1, grey);
      const float steepness = std::sqrt(gx * gx + gy * gy);
      // The streamline's direction is the gradient turned by a right angle.
      const float straight = steepness > 1e-4f ? std::abs(gx * ry - gy * rx) / (steepness * std::sqrt(squared)) : 0;
      const float weight = (kDiffusion + straight * straight) / (squared * squared);
      for (int c = 0; c < 3; ++c) sum[c] += weight * out.at(u, v)[c];
      weights += weight;
    }
  for (int c = 0; c < 3; ++c) out.at(x, y)[c] = sum[c] / weights;
}

Picture paint_navier_stokes(const PaintTask& task, Random&) {
  Picture out = task.photo;
  FastMarch march(task.mask, 1);
  if (!march.run([&](int x, int y) { fill(out, march, x, y); })) std::fill(out.rgb.begin(), out.rgb.end(), 0.5f);
  return out;
}

const bool kKnown = register_painter({"navier_stokes", PainterKind::inpaint, paint_navier_stokes});

}  // namespace
}  // namespace telltale
