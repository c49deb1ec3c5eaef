// The region as a decoder draws it: squeezed into a few numbers a cell, then enlarged again by layers drawn anew for
// each picture. Only the last layer is fitted (by least squares, to this very picture), so no two pictures carry the
// traces of the same net, and every way of enlarging that generators use leaves its own.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "data/painters/painter.h"
#include "data/painters/random_layers.h"
#include "data/painters/reprocess.h"

namespace telltale {
namespace {

constexpr int kMargin = 24;

/// Each cell of side × side pixels as its cosine coefficients of lowest frequency: `bright` of brightness, `colour` of
/// each of two colour differences.
Maps squeezed(const Picture& piece, int side, int bright, int colour) {
  const int across = (piece.width + side - 1) / side, down = (piece.height + side - 1) / side;
  std::vector<std::array<int, 2>> bands;  // along, across; the lowest first
  for (int sum = 0; sum <= 2 * (side - 1); ++sum)
    for (int i = 0; i < side; ++i)
      if (sum - i >= 0 && sum - i < side) bands.push_back({i, sum - i});
  static constexpr float kAxes[3][3] = {{.299f, .587f, .114f}, {-.169f, -.331f, .5f}, {.5f, -.419f, -.081f}};
  Maps cells(bright + 2 * colour, down, across);
  std::vector<float> wave(size_t(side) * size_t(side));
  for (int c = 0; c < cells.channels; ++c) {
    const int axis = c < bright ? 0 : 1 + (c - bright) / colour;
    const auto [u, v] = bands[size_t(c < bright ? c : (c - bright) % colour)];
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x)
        wave[size_t(y) * size_t(side) + size_t(x)] =
            float(std::cos(std::numbers::pi * (x + .5) * u / side) * std::cos(std::numbers::pi * (y + .5) * v / side));
    for (int b = 0; b < down; ++b)
      for (int a = 0; a < across; ++a) {
        float sum = 0;
        for (int y = 0; y < side; ++y)
          for (int x = 0; x < side; ++x) {
            const float* rgb =
                piece.at(std::min(a * side + x, piece.width - 1), std::min(b * side + y, piece.height - 1));
            const float shade = kAxes[axis][0] * rgb[0] + kAxes[axis][1] * rgb[1] + kAxes[axis][2] * rgb[2];
            sum += shade * wave[size_t(y) * size_t(side) + size_t(x)];
          }
        cells.row(c, b)[a] = sum;
      }
  }
  return cells;
}

/// All but the lowest frequency of each axis moved by a whole number of cells, around the piece's edges: texture of the
/// right strength in the wrong place, as a generator invents it.
void displace_detail(Maps& cells, int bright, int colour, Random& random) {
  const int dx = int(random.integer(1, std::max(1, cells.width - 1))),
            dy = int(random.integer(0, std::max(0, cells.height - 1)));
  const Maps from = cells;
  for (int c = 0; c < cells.channels; ++c) {
    if (c == 0 || (c >= bright && (c - bright) % colour == 0)) continue;
    for (int y = 0; y < cells.height; ++y)
      for (int x = 0; x < cells.width; ++x)
        cells.row(c, y)[x] = from.row(c, (y + dy) % cells.height)[(x + dx) % cells.width];
  }
}

/// The mean square of a picture's detail finer than `sigma`.
double detail(const Picture& picture, const Picture& blurred) {
  double sum = 0;
  for (size_t i = 0; i < picture.rgb.size(); ++i) {
    const double d = double(picture.rgb[i]) - double(blurred.rgb[i]);
    sum += d * d;
  }
  return sum / double(picture.rgb.size());
}

Picture decoded(const Picture& piece, Random& random) {
  const int levels = std::min(int(random.integer(1, 4)), 3), side = 1 << levels;
  const int bright = std::max(1, int(std::lround(random.uniform(.25, .8) * side * side))),
            colour = std::max(1, bright / 4);
  Maps maps = squeezed(piece, side, bright, colour);
  if (random.uniform() < .4) displace_detail(maps, bright, colour, random);
  normalise(maps);
  // A net enlarges in one way throughout, more often than not.
  const Enlarging usual = Enlarging(random.integer(0, kEnlargings - 1));
  maps = mixed(maps, 24, random);
  for (int level = 0; level < levels; ++level) {
    const Enlarging way = random.uniform() < .8 ? usual : Enlarging(random.integer(0, kEnlargings - 1));
    maps = enlarged(maps, level + 1 < levels ? 24 : 16, way, random);
    if (random.uniform() < .3) maps = mixed(maps, maps.channels, random);
  }
  const Picture drawn = fitted(maps, piece);

  // Large shapes and colours are the piece's, as they are after training; detail gets back some of the strength that
  // least squares takes from it.
  const double sigma = side;
  const Picture shapes = gaussian_blur(piece, sigma), blurred = gaussian_blur(drawn, sigma);
  const double lost = std::sqrt(detail(piece, shapes) / std::max(detail(drawn, blurred), 1e-9));
  const float gain = float(std::pow(std::clamp(lost, 1., 3.), random.uniform(.3, 1.1)));
  Picture out = piece;
  for (size_t i = 0; i < out.rgb.size(); ++i)
    out.rgb[i] = std::clamp(shapes.rgb[i] + gain * (drawn.rgb[i] - blurred.rgb[i]), 0.0f, 1.0f);
  return out;
}

/// What it draws is what was there, or what `patchmatch` finds for the hole.
Picture paint_decoder(const PaintTask& task, Random& random) {
  const bool invents = random.uniform() < .4;
  const Picture content = invents ? painter("patchmatch").paint(task, random) : task.photo;
  return change_around(content, task.mask, kMargin, [&](const Picture& piece) { return decoded(piece, random); });
}

const bool kKnown = register_painter({"decoder", PainterKind::reprocess, paint_decoder});

}  // namespace
}  // namespace telltale
