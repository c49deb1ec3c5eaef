// The region with more noise than the rest: white, or correlated over a pixel as a demosaiced sensor's is; grey or
// coloured.
#include <algorithm>
#include <cmath>

#include "data/painters/painter.h"
#include "data/painters/reprocess.h"

namespace telltale {
namespace {

Picture paint_noise(const PaintTask& task, Random& random) {
  const double levels = random.uniform(1, 8), correlation = random.uniform() < .5 ? 0 : random.uniform(.4, .8);
  const bool coloured = random.uniform() < .5;
  return change_around(task.photo, task.mask, 0, [&](const Picture& piece) {
    Picture noise(piece.width, piece.height);
    for (size_t i = 0; i < noise.rgb.size(); i += 3) {
      const float grey = float(random.normal());
      for (size_t c = 0; c < 3; ++c) noise.rgb[i + c] = coloured && c > 0 ? float(random.normal()) : grey;
    }
    noise = gaussian_blur(noise, correlation);
    double squares = 0;
    for (const float v : noise.rgb) squares += double(v) * v;
    const double deviation = std::sqrt(squares / double(noise.rgb.size()));
    const float gain = deviation > 0 ? float(levels / 255 / deviation) : 0;
    for (size_t i = 0; i < noise.rgb.size(); ++i)
      noise.rgb[i] = std::clamp(piece.rgb[i] + gain * noise.rgb[i], 0.0f, 1.0f);
    return noise;
  });
}

const bool kKnown = register_painter({"noise", PainterKind::reprocess, paint_noise});

}  // namespace
}  // namespace telltale
