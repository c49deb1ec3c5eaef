// Telea 2004, "An image inpainting technique based on the fast marching method": the hole is filled from its border
// inwards, each pixel by a weighted mean of what is known around it.
#include <algorithm>
#include <cmath>
#include <queue>

#include "data/painters/painter.h"

namespace telltale {
namespace {

constexpr int kRadius = 5;
constexpr float kFar = 1e6f;
// Gradients are carried on by this much per pixel at most, and the less the deeper in the hole: texture's, carried on,
// would run away.
constexpr float kMostStep = 2.0f / 255, kFade = 5;

class March {
 public:
  March(const Picture& photo, const Grey& mask)
      : out_(photo),
        width_(photo.width),
        height_(photo.height),
        time_(mask.pixels.size(), 0.0f),
        state_(mask.pixels.size(), kKnown) {
    for (size_t i = 0; i < mask.pixels.size(); ++i)
      if (mask.pixels[i] >= 128) state_[i] = kHole, time_[i] = kFar;
    measure_outside(mask);
  }

  Picture run() {
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x)
        if (state_[index(x, y)] == kHole && touches_known(x, y)) reach(x, y);
    if (front_.empty()) {  // nothing is known
      std::fill(out_.rgb.begin(), out_.rgb.end(), 0.5f);
      return out_;
    }
    while (!front_.empty()) {
      const auto [time, order, i] = front_.top();
      front_.pop();
      if (state_[i] == kKnown) continue;  // reached earlier by a shorter way
      const int x = int(i % size_t(width_)), y = int(i / size_t(width_));
      fill(x, y);
      state_[i] = kKnown;
      for_neighbours(x, y, [&](int u, int v) {
        if (state_[index(u, v)] != kKnown) reach(u, v);
      });
    }
    return out_;
  }

 private:
  enum State : uint8_t { kKnown, kHole };
  struct Entry {
    float time;
    uint64_t order;  // of insertion: equal times leave the queue as they came
    size_t pixel;
    bool operator<(const Entry& b) const { return time != b.time ? time > b.time : order > b.order; }
  };

  size_t index(int x, int y) const { return size_t(y) * size_t(width_) + size_t(x); }
  template <class F>
  void for_neighbours(int x, int y, F f) const {
    if (x > 0) f(x - 1, y);
    if (x + 1 < width_) f(x + 1, y);
    if (y > 0) f(x, y - 1);
    if (y + 1 < height_) f(x, y + 1);
  }
  bool known(int x, int y) const {
    return x >= 0 && y >= 0 && x < width_ && y < height_ && state_[index(x, y)] == kKnown;
  }
  bool touches_known(int x, int y) const {
    bool touches = false;
    for_neighbours(x, y, [&](int u, int v) { touches = touches || state_[index(u, v)] == kKnown; });
    return touches;
  }

  /// Arrival times go on outside the hole with negative sign, so that their gradient is defined on its border.
  void measure_outside(const Grey& mask) {
    Grey outside(width_, height_);
    std::transform(mask.pixels.begin(), mask.pixels.end(), outside.pixels.begin(),
                   [](uint8_t v) { return uint8_t(v >= 128 ? 0 : 255); });
    const std::vector<float> depth = depth_in_hole(outside);
    for (size_t i = 0; i < time_.size(); ++i)
      if (state_[i] == kKnown) time_[i] = 1 - std::min(depth[i], float(2 * kRadius));
  }

  /// The eikonal equation |∇T| = 1 from one neighbour of each axis.
  float solve(int x, int y) const {
    const auto at = [&](int u, int v) { return known(u, v) ? time_[index(u, v)] : kFar; };
    const float a = std::min(at(x - 1, y), at(x + 1, y)), b = std::min(at(x, y - 1), at(x, y + 1));
    const float low = std::min(a, b), apart = std::abs(a - b);
    if (apart >= 1) return low + 1;
    return (a + b + std::sqrt(2 - apart * apart)) / 2;
  }

  void reach(int x, int y) {
    const size_t i = index(x, y);
    const float time = solve(x, y);
    if (time >= time_[i]) return;
    time_[i] = time;
    front_.push({time, order_++, i});
  }

  /// Central where both neighbours are known, else one-sided, else 0.
  template <class At>
  float difference(int x, int y, int dx, int dy, At at) const {
    const bool before = known(x - dx, y - dy), after = known(x + dx, y + dy);
    if (before && after) return (at(x + dx, y + dy) - at(x - dx, y - dy)) / 2;
    if (after) return at(x + dx, y + dy) - at(x, y);
    if (before) return at(x, y) - at(x - dx, y - dy);
    return 0;
  }

  void fill(int x, int y) {
    const float now = time_[index(x, y)];
    const auto time_at = [&](int u, int v) { return time_[index(u, v)]; };
    const float nx = difference(x, y, 1, 0, time_at), ny = difference(x, y, 0, 1, time_at);
    float sum[3] = {0, 0, 0}, step[3] = {0, 0, 0}, weights = 0;
    for (int v = std::max(0, y - kRadius); v <= std::min(height_ - 1, y + kRadius); ++v)
      for (int u = std::max(0, x - kRadius); u <= std::min(width_ - 1, x + kRadius); ++u) {
        const float rx = float(x - u), ry = float(y - v), squared = rx * rx + ry * ry;
        if (squared > kRadius * kRadius || squared == 0 || !known(u, v)) continue;
        const float along = std::max(std::abs(rx * nx + ry * ny) / std::sqrt(squared), 1e-6f);
        const float weight = along / squared / (1 + std::abs(time_at(u, v) - now));
        const float* value = out_.at(u, v);
        for (int c = 0; c < 3; ++c) {
          const auto value_at = [&](int p, int q) { return out_.at(p, q)[c]; };
          sum[c] += weight * value[c];
          step[c] += weight * (rx * difference(u, v, 1, 0, value_at) + ry * difference(u, v, 0, 1, value_at));
        }
        weights += weight;
      }
    const float most = kMostStep * std::exp(-now / kFade);
    // A neighbour along one of the axes is always known, so there is weight.
    for (int c = 0; c < 3; ++c)
      out_.at(x, y)[c] = std::clamp(sum[c] / weights + std::clamp(step[c] / weights, -most, most), 0.0f, 1.0f);
  }

  Picture out_;
  int width_, height_;
  std::vector<float> time_;
  std::vector<State> state_;
  std::priority_queue<Entry> front_;
  uint64_t order_ = 0;
};

Picture paint_telea(const PaintTask& task, Random&) { return March(task.photo, task.mask).run(); }

const bool kKnownPainter = register_painter({"telea", PainterKind::inpaint, paint_telea});

}  // namespace
}  // namespace telltale
