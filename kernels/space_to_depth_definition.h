#pragma once
// Blocks by their definition, for cases.
#include <vector>

#include "kernels/space_to_depth.h"

namespace telltale {

/// Images of shape s as blocks_shape(s), zeros at the border.
inline std::vector<double> blocks_of(const std::vector<double>& images, const Shape& s) {
  const Shape to = blocks_shape(s);
  std::vector<double> blocks(size_t(to.numel()), 0.0);
  for (size_t i = 0; i < images.size(); ++i) {
    const int colour = int(i % 3), pixel = int(i / 3);
    const int w = pixel % s.w, h = pixel / s.w % s.h, n = pixel / s.w / s.h;
    const int block = (n * to.h + h / 2 + 2) * to.w + w / 2 + 2, channel = (h % 2 * 2 + w % 2) * 3 + colour;
    blocks[size_t(block) * size_t(to.c) + size_t(channel)] = images[i];
  }
  return blocks;
}

}  // namespace telltale
