#pragma once
// Axis-aligned boxes in pixels. x is the column and y the row everywhere; only the paper's own CSV swaps them.
#include <algorithm>
#include <cstdint>

namespace telltale {

/// Half-open: columns x_min … x_max − 1, rows y_min … y_max − 1. All zero means "no box".
struct Box {
  int x_min = 0, y_min = 0, x_max = 0, y_max = 0;
  int width() const { return x_max - x_min; }
  int height() const { return y_max - y_min; }
  bool empty() const { return x_max <= x_min || y_max <= y_min; }
  bool operator==(const Box&) const = default;
};

/// Pixels inside; 0 when empty or inverted.
inline int64_t area(const Box& b) { return b.empty() ? 0 : int64_t(b.width()) * b.height(); }

inline Box intersect(const Box& a, const Box& b) {
  return {std::max(a.x_min, b.x_min), std::max(a.y_min, b.y_min), std::min(a.x_max, b.x_max),
          std::min(a.y_max, b.y_max)};
}

/// Intersection over union in [0, 1]; 0 when both are empty.
inline double iou(const Box& a, const Box& b) {
  const int64_t both = area(intersect(a, b)), either = area(a) + area(b) - both;
  return either > 0 ? double(both) / double(either) : 0;
}

/// The paper's IoU: corners taken as inclusive, so that every side counts one pixel more. Never 0/0.
inline double iou_inclusive(const Box& a, const Box& b) {
  const auto grow = [](Box x) { return Box{x.x_min, x.y_min, x.x_max + 1, x.y_max + 1}; };
  return iou(grow(a), grow(b));
}

/// As seen in a mirror, in an image `width` columns wide. "No box" stays so.
inline Box flip(const Box& b, int width) {
  return b == Box{} ? b : Box{width - b.x_max, b.y_min, width - b.x_min, b.y_max};
}

/// Whether it lies in a width × height image.
inline bool inside(const Box& b, int width, int height) {
  return b.x_min >= 0 && b.y_min >= 0 && b.x_max <= width && b.y_max <= height;
}

}  // namespace telltale
