#include "data/painters/reprocess.h"

#include <algorithm>

#include "base/check.h"
#include "data/mask.h"

namespace telltale {

Picture change_around(const Picture& photo, const Grey& mask, int margin,
                      const std::function<Picture(const Picture&)>& change) {
  const Box hole = bounds_of(mask);
  const Box box = intersect({hole.x_min - margin, hole.y_min - margin, hole.x_max + margin, hole.y_max + margin},
                            {0, 0, photo.width, photo.height});
  Picture piece(box.width(), box.height());
  for (int y = 0; y < piece.height; ++y)
    std::copy_n(photo.at(box.x_min, box.y_min + y), size_t(piece.width) * 3, piece.at(0, y));
  const Picture changed = change(piece);
  TT_CHECK(changed.width == piece.width && changed.height == piece.height, ShapeError, "a piece of ", piece.width, "x",
           piece.height, " came back ", changed.width, "x", changed.height);
  Picture out = photo;
  for (int y = 0; y < piece.height; ++y)
    std::copy_n(changed.at(0, y), size_t(piece.width) * 3, out.at(box.x_min, box.y_min + y));
  return out;
}

}  // namespace telltale
