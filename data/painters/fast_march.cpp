#include "data/painters/fast_march.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace telltale {
namespace {

constexpr float kFar = 1e6f;
constexpr std::array<std::array<int, 2>, 4> kBeside = {{{-1, 0}, {1, 0}, {0, -1}, {0, 1}}};

}  // namespace

FastMarch::FastMarch(const Grey& mask, int outside)
    : width_(mask.width), height_(mask.height), time_(mask.pixels.size(), kFar), known_(mask.pixels.size()) {
  Grey inverse(width_, height_);
  for (size_t i = 0; i < known_.size(); ++i) {
    known_[i] = mask.pixels[i] < 128;
    inverse.pixels[i] = known_[i] ? 255 : 0;
  }
  const std::vector<float> away = depth_in_hole(inverse);
  for (size_t i = 0; i < known_.size(); ++i)
    if (known_[i]) time_[i] = 1 - std::min(away[i], float(outside));
}

bool FastMarch::run(const std::function<void(int, int)>& fill) {
  for (int y = 0; y < height_; ++y)
    for (int x = 0; x < width_; ++x)
      if (!known(x, y) &&
          std::any_of(kBeside.begin(), kBeside.end(), [&](const auto& d) { return known(x + d[0], y + d[1]); }))
        reach(x, y);
  const bool any = !front_.empty();
  while (!front_.empty()) {
    const size_t i = front_.top().pixel;
    front_.pop();
    if (known_[i]) continue;  // reached earlier by a shorter way
    const int x = int(i % size_t(width_)), y = int(i / size_t(width_));
    fill(x, y);
    known_[i] = 1;
    for (const auto& [dx, dy] : kBeside) {
      const int u = x + dx, v = y + dy;
      if (u >= 0 && v >= 0 && u < width_ && v < height_ && !known(u, v)) reach(u, v);
    }
  }
  return any;
}

/// From one neighbour of each axis.
float FastMarch::solve(int x, int y) const {
  const auto at = [&](int u, int v) { return known(u, v) ? std::max(time(u, v), 0.0f) : kFar; };
  const float a = std::min(at(x - 1, y), at(x + 1, y)), b = std::min(at(x, y - 1), at(x, y + 1));
  const float apart = std::abs(a - b);
  if (apart >= 1) return std::min(a, b) + 1;
  return (a + b + std::sqrt(2 - apart * apart)) / 2;
}

void FastMarch::reach(int x, int y) {
  const size_t i = index(x, y);
  const float time = solve(x, y);
  if (time >= time_[i]) return;
  time_[i] = time;
  front_.push({time, order_++, i});
}

}  // namespace telltale
