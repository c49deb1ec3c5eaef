// The region from another photograph: mirrored or not, larger or smaller, its colours brought nearer to those around
// the hole or left.
#include <algorithm>
#include <array>
#include <cmath>

#include "data/mask.h"
#include "data/painters/painter.h"

namespace telltale {
namespace {

using Moments = std::array<std::array<double, 2>, 3>;  // mean and deviation of each channel

template <class Take>
Moments moments(const Picture& p, Take take) {
  Moments m{};
  double count = 0;
  std::array<double, 3> sum{}, squares{};
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x) {
      if (!take(x, y)) continue;
      ++count;
      for (size_t c = 0; c < 3; ++c) {
        const double v = p.at(x, y)[c];
        sum[c] += v, squares[c] += v * v;
      }
    }
  for (size_t c = 0; c < 3 && count > 0; ++c)
    m[c] = {sum[c] / count, std::sqrt(std::max(0.0, squares[c] / count - sum[c] * sum[c] / (count * count)))};
  return m;
}

Picture paint_splice(const PaintTask& task, Random& random) {
  const Picture &photo = task.photo, &other = *task.other;
  const Box hole = bounds_of(task.mask);
  const bool mirrored = random.uniform() < .5;
  // Large enough that the hole fits into it with the pixels beside it.
  const double least = std::max(double(hole.width() + 2) / other.width, double(hole.height() + 2) / other.height);
  const double scale = std::max(least, random.uniform() < .5 ? 1 : random.uniform(.6, 1.5));
  const int width = std::max(1, int(std::ceil(other.width * scale))),
            height = std::max(1, int(std::ceil(other.height * scale)));
  const Image donor = resize(to_image(other), width, height, Filter::lanczos);
  const int left = int(random.integer(0, std::max(0, width - hole.width()))),
            top = int(random.integer(0, std::max(0, height - hole.height())));
  double match = random.uniform() < .3 ? 0 : random.uniform(.5, 1);

  Picture out = photo;
  const auto in_hole = [&](int x, int y) {
    return task.mask.pixels[size_t(y) * size_t(photo.width) + size_t(x)] >= 128;
  };
  for (int y = std::max(0, hole.y_min - 1); y < std::min(photo.height, hole.y_max + 1); ++y)
    for (int x = std::max(0, hole.x_min - 1); x < std::min(photo.width, hole.x_max + 1); ++x) {
      const int u = std::clamp(left + x - hole.x_min, 0, width - 1),
                v = std::clamp(top + y - hole.y_min, 0, height - 1);
      const uint8_t* from = donor.at(mirrored ? width - 1 - u : u, v);
      for (int c = 0; c < 3; ++c) out.at(x, y)[c] = float(from[c]) / 255;
    }
  constexpr int kRing = 16;
  if (hole.width() == photo.width && hole.height() == photo.height) match = 0;  // there may be nothing to match
  const Moments have = moments(out, in_hole), want = moments(photo, [&](int x, int y) {
                                                return !in_hole(x, y) && x >= hole.x_min - kRing &&
                                                       x < hole.x_max + kRing && y >= hole.y_min - kRing &&
                                                       y < hole.y_max + kRing;
                                              });
  for (int y = std::max(0, hole.y_min - 1); y < std::min(photo.height, hole.y_max + 1); ++y)
    for (int x = std::max(0, hole.x_min - 1); x < std::min(photo.width, hole.x_max + 1); ++x)
      for (size_t c = 0; c < 3; ++c) {
        float& value = out.at(x, y)[c];
        const double gain = std::clamp(want[c][1] / std::max(have[c][1], .01), .5, 2.0);
        const double matched = want[c][0] + gain * (value - have[c][0]);
        value = float(std::clamp(value + match * (matched - value), 0.0, 1.0));
      }
  return out;
}

const bool kKnown = register_painter({"splice", PainterKind::splice, paint_splice});

}  // namespace
}  // namespace telltale
