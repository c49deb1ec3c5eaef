// The region at another size and back: what scaling does to pixels.
#include <algorithm>
#include <cmath>

#include "data/painters/painter.h"
#include "data/painters/reprocess.h"

namespace telltale {
namespace {

constexpr int kMargin = 16;

/// Smaller (to 0.4) or larger (to 2) with equal chance, bilinear or Lanczos either way.
Picture paint_resample(const PaintTask& task, Random& random) {
  const bool smaller = random.uniform() < .5;
  const double scale = smaller ? random.uniform(.4, .9) : random.uniform(1.1, 2);
  const Filter there = random.uniform() < .5 ? Filter::bilinear : Filter::lanczos;
  const Filter back = random.uniform() < .5 ? Filter::bilinear : Filter::lanczos;
  return change_around(task.photo, task.mask, kMargin, [&](const Picture& piece) {
    const int width = std::max(1, int(std::lround(piece.width * scale))),
              height = std::max(1, int(std::lround(piece.height * scale)));
    return to_picture(resize(resize(to_image(piece), width, height, there), piece.width, piece.height, back));
  });
}

const bool kKnown = register_painter({"resample", PainterKind::reprocess, paint_resample});

}  // namespace
}  // namespace telltale
