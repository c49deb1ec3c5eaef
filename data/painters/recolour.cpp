// The region in other colours: gain and gamma of each channel, saturation.
#include <algorithm>
#include <cmath>

#include "data/luma.h"
#include "data/painters/painter.h"
#include "data/painters/reprocess.h"

namespace telltale {
namespace {

Picture paint_recolour(const PaintTask& task, Random& random) {
  float gain[3], gamma[3];
  const double all = random.uniform(.85, 1.15);
  for (int c = 0; c < 3; ++c) {
    gain[c] = float(all * random.uniform(.9, 1.1));
    gamma[c] = float(random.uniform(.85, 1.2));
  }
  const float saturation = float(random.uniform(.5, 1.5));
  return change_around(task.photo, task.mask, 0, [&](const Picture& piece) {
    Picture out = piece;
    for (size_t i = 0; i < out.rgb.size(); i += 3) {
      float* p = &out.rgb[i];
      for (int c = 0; c < 3; ++c) p[c] = gain[c] * std::pow(p[c], gamma[c]);
      const float grey = luma(p);
      for (int c = 0; c < 3; ++c) p[c] = std::clamp(grey + saturation * (p[c] - grey), 0.0f, 1.0f);
    }
    return out;
  });
}

const bool kKnown = register_painter({"recolour", PainterKind::reprocess, paint_recolour});

}  // namespace
}  // namespace telltale
