// The region with another JPEG past than the rest: one more on a grid of its own, or freed of the one it had.
#include <algorithm>

#include "data/codec.h"
#include "data/mask.h"
#include "data/painters/painter.h"
#include "data/painters/reprocess.h"

namespace telltale {
namespace {

constexpr int kBlock = 8;

/// Saved and read again with the block grid moved to begin at (-dx, -dy), the edge repeated.
Picture through_jpeg(const Picture& piece, int dx, int dy, int quality) {
  Image padded(piece.width + dx, piece.height + dy);
  const Image image = to_image(piece);
  for (int y = 0; y < padded.height; ++y)
    for (int x = 0; x < padded.width; ++x)
      std::copy_n(image.at(std::max(0, x - dx), std::max(0, y - dy)), 3, padded.at(x, y));
  const Image decoded = decode_image(encode_jpeg(padded, quality), "a painter's JPEG");
  return to_picture(crop(decoded, {dx, dy, padded.width, padded.height}));
}

/// Quality 40 to 95, any grid.
Picture paint_recompress(const PaintTask& task, Random& random) {
  const int quality = int(random.integer(40, 95));
  const int dx = int(random.integer(0, kBlock - 1)), dy = int(random.integer(0, kBlock - 1));
  return change_around(task.photo, task.mask, 2 * kBlock,
                       [&](const Picture& piece) { return through_jpeg(piece, dx, dy, quality); });
}

/// Means over JPEGs on shifted grids: no grid remains (Nosratinia 2001).
Picture paint_deblock(const PaintTask& task, Random& random) {
  constexpr int kShifts = 6;
  const int quality = int(random.integer(50, 85));
  return change_around(task.photo, task.mask, 2 * kBlock, [&](const Picture& piece) {
    Picture sum(piece.width, piece.height);
    for (int k = 0; k < kShifts; ++k) {
      const int dx = int(random.integer(0, kBlock - 1)), dy = int(random.integer(0, kBlock - 1));
      const Picture one = through_jpeg(piece, dx, dy, quality);
      for (size_t i = 0; i < sum.rgb.size(); ++i) sum.rgb[i] += one.rgb[i] / kShifts;
    }
    return sum;
  });
}

const bool kKnownRecompress = register_painter({"recompress", PainterKind::reprocess, paint_recompress});
const bool kKnownDeblock = register_painter({"deblock", PainterKind::reprocess, paint_deblock});

}  // namespace
}  // namespace telltale
