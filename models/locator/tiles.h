#pragma once
// A picture of any size as tiles of one size, and how much of the answer each has.
#include <vector>

#include "data/image.h"

namespace telltale {

/// Tiles along one axis.
struct Tiling {
  struct Tile {
    int begin = 0;
    std::vector<float> share;  ///< of each of its pixels, in [0, 1]; of one place they sum to 1 over all tiles
  };
  int length = 0;  ///< of every tile
  std::vector<Tile> tiles;
};
/// Tiles of equal length, a multiple of 8 and at most `longest`, that begin at multiples of 8. Within `reach` of an end
/// that is not the axis's own a tile has no share; from there on its share rises evenly over `blend` pixels.
/// `length`, `reach` and `blend` must be multiples of 8, blend positive, and `longest` more than 2 · reach + blend.
Tiling tiles_along(int length, int longest, int reach, int blend);

/// `value` or the next multiple.
constexpr int rounded_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }
/// The part inside a box that begins within the picture and may end beyond its right and lower edges, at which the
/// picture is mirrored; the edges themselves stay single. ShapeError for an empty box or one that begins elsewhere.
Image crop_mirrored(const Image&, const Box&);

}  // namespace telltale
