#include "tools/synth/window.h"

#include <algorithm>

#include "nets/nets.h"

namespace telltale {
namespace {

constexpr int kStep = 4;  // windows begin and end where the generator's smallest features do

int up(int pixels) { return (pixels + kStep - 1) / kStep * kStep; }
int first(int begin) { return std::max(0, begin - kWindowMargin) / kStep * kStep; }
int last(int end, int size) { return std::min(size, up(end + kWindowMargin)); }

}  // namespace

int window_side(const Box& hole, int size) {
  const int needed = std::max(last(hole.x_max, size) - first(hole.x_min), last(hole.y_max, size) - first(hole.y_min));
  for (int eighths = 3; eighths < 8; ++eighths)
    if (const int side = up(eighths * size / 8); side >= needed && side < size) return side;
  return size;
}

Window place_window(const Box& hole, int side, int size) {
  return {std::min(first(hole.y_min), size - side), std::min(first(hole.x_min), size - side), side};
}

}  // namespace telltale
