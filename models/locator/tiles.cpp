#include "models/locator/tiles.h"

#include <algorithm>

#include "base/check.h"

namespace telltale {
namespace {

/// The index that stands at i when a row of n is mirrored again and again.
int mirrored(int i, int n) {
  if (n == 1) return 0;
  const int at = i % (2 * n - 2);
  return at < n ? at : 2 * n - 2 - at;
}

/// 0 up to `reach` from an end, 1 from `blend` further on; pixels are measured at their centres.
float rise(int from_end, int reach, int blend) {
  return std::clamp((float(from_end - reach) + 0.5f) / float(blend), 0.0f, 1.0f);
}

/// Makes the shares of each place sum to 1.
void normalise(Tiling& t, int length) {
  std::vector<float> sums(size_t(length), 0.0f);
  for (const Tiling::Tile& tile : t.tiles)
    for (size_t i = 0; i < tile.share.size(); ++i) sums[size_t(tile.begin) + i] += tile.share[i];
  for (Tiling::Tile& tile : t.tiles)
    for (size_t i = 0; i < tile.share.size(); ++i) tile.share[i] /= sums[size_t(tile.begin) + i];
}

}  // namespace

Tiling tiles_along(int length, int longest, int reach, int blend) {
  const int overlap = 2 * reach + blend;
  longest = longest / 8 * 8;
  TT_CHECK(
      length > 0 && length % 8 == 0 && reach >= 0 && reach % 8 == 0 && blend > 0 && blend % 8 == 0 && longest > overlap,
      ShapeError, "no tiles of ", longest, " that reach ", reach, " and blend over ", blend, " along ", length);
  if (length <= longest) return {length, {{0, std::vector<float>(size_t(length), 1.0f)}}};
  // All equally long, rather than a last one that mostly repeats.
  const int most = longest - overlap;
  const int count = (length - overlap + most - 1) / most;
  const int step = rounded_up((length - overlap + count - 1) / count, 8);
  Tiling t{.length = step + overlap, .tiles = {}};
  for (int k = 0;; ++k) {
    const int begin = std::min(k * step, length - t.length);
    Tiling::Tile tile{begin, std::vector<float>(size_t(t.length), 1.0f)};
    const bool first = begin == 0, last = begin + t.length == length;
    for (int i = 0; i < t.length; ++i) {
      const float left = first ? 1 : rise(i, reach, blend), right = last ? 1 : rise(t.length - 1 - i, reach, blend);
      tile.share[size_t(i)] = std::min(left, right);
    }
    t.tiles.push_back(std::move(tile));
    if (last) break;
  }
  normalise(t, length);
  return t;
}

Image crop_mirrored(const Image& image, const Box& box) {
  TT_CHECK(!box.empty() && box.x_min >= 0 && box.y_min >= 0 && box.x_min < image.width && box.y_min < image.height,
           ShapeError, "no tile from ", box.x_min, ",", box.y_min, " to ", box.x_max, ",", box.y_max,
           " of a picture of ", image.width, "x", image.height);
  Image part(box.width(), box.height());
  const int inside = std::min(box.x_max, image.width) - box.x_min;
  for (int y = 0; y < part.height; ++y) {
    const int from = mirrored(box.y_min + y, image.height);
    std::copy_n(image.at(box.x_min, from), size_t(inside) * 3, part.at(0, y));
    for (int x = inside; x < part.width; ++x)
      std::copy_n(image.at(mirrored(box.x_min + x, image.width), from), 3, part.at(x, y));
  }
  return part;
}

}  // namespace telltale
