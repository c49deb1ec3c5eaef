#pragma once
// Holes filled from their border inwards, in the order of the distance to it.
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "data/painters/picture.h"

namespace telltale {

/// Fast marching (Sethian 1996): solves |∇T| = 1 with T = 0 on the hole's border, and hands out the hole's pixels as T
/// reaches them.
class FastMarch {
 public:
  /// `outside` pixels away from the hole T goes on with negative sign, so that it has a gradient on the border.
  FastMarch(const Grey& mask, int outside);

  /// Calls `fill(x, y)` for each hole pixel in the order of T, equal ones in the order in which they were reached; a
  /// pixel is known from then on. False, and no call, when nothing is known to begin with.
  bool run(const std::function<void(int x, int y)>& fill);

  bool known(int x, int y) const { return x >= 0 && y >= 0 && x < width_ && y < height_ && known_[index(x, y)] != 0; }
  float time(int x, int y) const { return time_[index(x, y)]; }

  /// The derivative of `at(x, y)` along (dx, dy): central where both neighbours are known, else one-sided, else 0.
  template <class At>
  float difference(int x, int y, int dx, int dy, At at) const {
    const bool before = known(x - dx, y - dy), after = known(x + dx, y + dy);
    if (before && after) return (at(x + dx, y + dy) - at(x - dx, y - dy)) / 2;
    if (after) return at(x + dx, y + dy) - at(x, y);
    if (before) return at(x, y) - at(x - dx, y - dy);
    return 0;
  }

 private:
  struct Entry {
    float time;
    uint64_t order;
    size_t pixel;
    bool operator<(const Entry& b) const { return time != b.time ? time > b.time : order > b.order; }
  };
  size_t index(int x, int y) const { return size_t(y) * size_t(width_) + size_t(x); }
  float solve(int x, int y) const;
  void reach(int x, int y);

  int width_, height_;
  std::vector<float> time_;
  std::vector<uint8_t> known_;
  std::priority_queue<Entry> front_;
  uint64_t order_ = 0;
};

}  // namespace telltale
