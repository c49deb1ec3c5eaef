// The region blurred, or sharpened by what a blur takes away.
#include <algorithm>
#include <cmath>

#include "data/painters/painter.h"
#include "data/painters/reprocess.h"

namespace telltale {
namespace {

int margin_of(double sigma) { return int(std::ceil(3 * sigma)) + 1; }

/// Gaussian, 0.5 to 2 pixels.
Picture paint_blur(const PaintTask& task, Random& random) {
  const double sigma = random.uniform(.5, 2);
  return change_around(task.photo, task.mask, margin_of(sigma),
                       [&](const Picture& piece) { return gaussian_blur(piece, sigma); });
}

/// Unsharp masking: 0.3 to 1.5 times what a blur of 0.6 to 2 pixels takes away is added.
Picture paint_sharpen(const PaintTask& task, Random& random) {
  const double sigma = random.uniform(.6, 2);
  const float amount = float(random.uniform(.3, 1.5));
  return change_around(task.photo, task.mask, margin_of(sigma), [&](const Picture& piece) {
    Picture out = gaussian_blur(piece, sigma);
    for (size_t i = 0; i < out.rgb.size(); ++i)
      out.rgb[i] = std::clamp(piece.rgb[i] + amount * (piece.rgb[i] - out.rgb[i]), 0.0f, 1.0f);
    return out;
  });
}

const bool kKnownBlur = register_painter({"blur", PainterKind::reprocess, paint_blur});
const bool kKnownSharpen = register_painter({"sharpen", PainterKind::reprocess, paint_sharpen});

}  // namespace
}  // namespace telltale
