// Criminisi, Pérez and Toyama 2004, "Region filling and object removal by exemplar-based image inpainting": patch by
// patch, where much is known and where edges meet the hole first, each copied from the most alike known patch nearby.
#include <algorithm>
#include <array>
#include <cmath>

#include "data/luma.h"
#include "data/painters/painter.h"

namespace telltale {
namespace {

constexpr int kLargestRadius = 5;

class Exemplar {
 public:
  Exemplar(const PaintTask& task, int radius, int reach)
      : out_(task.photo),
        width_(out_.width),
        height_(out_.height),
        radius_(radius),
        reach_(reach),
        trust_(task.mask.pixels.size()),
        grey_(trust_.size()),
        priority_(trust_.size(), kNotInFront),
        is_source_(trust_.size(), 1) {
    for (size_t i = 0; i < trust_.size(); ++i) {
      trust_[i] = task.mask.pixels[i] < 128 ? 1.0f : 0.0f;
      hole_.push_back(task.mask.pixels[i] >= 128);
      left_ += hole_.back();
      grey_[i] = luma(&out_.rgb[3 * i]);
    }
    find_sources();
  }

  bool has_sources() const { return std::find(is_source_.begin(), is_source_.end(), 1) != is_source_.end(); }

  Picture run() {
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x) rate(x, y);
    while (left_ > 0) {
      const auto first = size_t(std::max_element(priority_.begin(), priority_.end()) - priority_.begin());
      const int x = int(first % size_t(width_)), y = int(first / size_t(width_));
      copy(best_source(x, y), x, y);
      const int around = radius_ + 2 + radius_;  // whose patch or normal has changed
      for (int v = std::max(0, y - around); v <= std::min(height_ - 1, y + around); ++v)
        for (int u = std::max(0, x - around); u <= std::min(width_ - 1, x + around); ++u) rate(u, v);
    }
    return std::move(out_);
  }

 private:
  static constexpr float kNotInFront = -1;

  size_t index(int x, int y) const { return size_t(y) * size_t(width_) + size_t(x); }
  bool inside(int x, int y) const { return x >= 0 && y >= 0 && x < width_ && y < height_; }
  bool known(int x, int y) const { return inside(x, y) && !hole_[index(x, y)]; }

  /// Patches wholly inside the picture that the hole has never touched.
  void find_sources() {
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x) {
        if (x < radius_ || y < radius_ || x + radius_ >= width_ || y + radius_ >= height_) is_source_[index(x, y)] = 0;
        if (!hole_[index(x, y)]) continue;
        for (int v = std::max(0, y - radius_); v <= std::min(height_ - 1, y + radius_); ++v)
          std::fill_n(is_source_.begin() + ptrdiff_t(index(std::max(0, x - radius_), v)),
                      std::min(width_ - 1, x + radius_) - std::max(0, x - radius_) + 1, uint8_t(0));
      }
  }

  float known_trust(int x, int y) const {
    float sum = 0;
    for (int v = std::max(0, y - radius_); v <= std::min(height_ - 1, y + radius_); ++v)
      for (int u = std::max(0, x - radius_); u <= std::min(width_ - 1, x + radius_); ++u)
        if (!hole_[index(u, v)]) sum += trust_[index(u, v)];
    return sum / float((2 * radius_ + 1) * (2 * radius_ + 1));
  }

  /// How strongly an edge runs into the hole at (x, y): the steepest gradient in the patch, turned by a right angle,
  /// along the hole's normal.
  float edge_strength(int x, int y) const {
    const auto is_hole = [&](int u, int v) { return inside(u, v) && hole_[index(u, v)] ? 1.0f : 0.0f; };
    float nx = is_hole(x + 1, y) - is_hole(x - 1, y), ny = is_hole(x, y + 1) - is_hole(x, y - 1);
    const float length = std::sqrt(nx * nx + ny * ny);
    if (length > 0) nx /= length, ny /= length;
    float steepest = 0, ex = 0, ey = 0;
    for (int v = y - radius_; v <= y + radius_; ++v)
      for (int u = x - radius_; u <= x + radius_; ++u) {
        if (!known(u, v) || !known(u - 1, v) || !known(u + 1, v) || !known(u, v - 1) || !known(u, v + 1)) continue;
        const float gx = (grey_[index(u + 1, v)] - grey_[index(u - 1, v)]) / 2,
                    gy = (grey_[index(u, v + 1)] - grey_[index(u, v - 1)]) / 2;
        if (const float g = gx * gx + gy * gy; g > steepest) steepest = g, ex = -gy, ey = gx;
      }
    return length > 0 ? std::abs(ex * nx + ey * ny) : std::sqrt(steepest);
  }

  void rate(int x, int y) {
    float& priority = priority_[index(x, y)];
    priority = kNotInFront;
    if (known(x, y) || !(known(x - 1, y) || known(x + 1, y) || known(x, y - 1) || known(x, y + 1))) return;
    constexpr float kWithoutEdge = .003f;  // where nothing runs in, trust decides
    priority = known_trust(x, y) * (edge_strength(x, y) + kWithoutEdge);
  }

  /// The centre of the patch most alike in what is known of (x, y)'s; of the whole picture when none is near.
  size_t best_source(int x, int y) {
    const int side = 2 * radius_ + 1, line = 3 * side;
    target_.assign(size_t(side) * size_t(line), 0);
    counts_.assign(target_.size(), 0);
    for (int v = 0; v < side; ++v)
      for (int u = 0; u < side; ++u) {
        if (!known(x + u - radius_, y + v - radius_)) continue;
        std::copy_n(out_.at(x + u - radius_, y + v - radius_), 3, &target_[size_t(v) * size_t(line) + size_t(3 * u)]);
        std::fill_n(&counts_[size_t(v) * size_t(line) + size_t(3 * u)], 3, 1.0f);
      }
    size_t best = SIZE_MAX;
    float least = 1e30f;
    for (int reach = reach_; best == SIZE_MAX; reach *= 2)
      for (int v = std::max(radius_, y - reach); v <= std::min(height_ - 1 - radius_, y + reach); ++v)
        for (int u = std::max(radius_, x - reach); u <= std::min(width_ - 1 - radius_, x + reach); ++u) {
          if (!is_source_[index(u, v)]) continue;
          if (const float d = distance(u, v, least); d < least) least = d, best = index(u, v);
        }
    return best;
  }

  float distance(int x, int y, float limit) const {
    const int side = 2 * radius_ + 1, line = 3 * side;
    float sum = 0;
    for (int v = 0; v < side && sum < limit; ++v) {
      const float *from = out_.at(x - radius_, y + v - radius_), *to = &target_[size_t(v) * size_t(line)],
                  *count = &counts_[size_t(v) * size_t(line)];
      float part = 0;
#pragma omp simd reduction(+ : part)
      for (int i = 0; i < line; ++i) part += count[i] * (from[i] - to[i]) * (from[i] - to[i]);
      sum += part;
    }
    return sum;
  }

  void copy(size_t source, int x, int y) {
    const int sx = int(source % size_t(width_)), sy = int(source / size_t(width_));
    const float trust = known_trust(x, y);
    for (int dy = -radius_; dy <= radius_; ++dy)
      for (int dx = -radius_; dx <= radius_; ++dx) {
        if (!inside(x + dx, y + dy) || !hole_[index(x + dx, y + dy)]) continue;
        const size_t i = index(x + dx, y + dy);
        std::copy_n(out_.at(sx + dx, sy + dy), 3, &out_.rgb[3 * i]);
        grey_[i] = luma(&out_.rgb[3 * i]);
        trust_[i] = trust;
        hole_[i] = 0;
        --left_;
      }
  }

  Picture out_;
  int width_, height_, radius_, reach_;
  int64_t left_ = 0;
  std::vector<float> trust_, grey_, priority_, target_, counts_;
  std::vector<uint8_t> is_source_, hole_;
};

/// Patches of 7 × 7 to 11 × 11, looked for 40 to 90 pixels around; smaller ones where none of that size is known.
Picture paint_exemplar(const PaintTask& task, Random& random) {
  int radius = int(random.integer(3, kLargestRadius));
  const int reach = int(random.integer(40, 90));
  for (; radius >= 0; --radius)
    if (Exemplar work(task, radius, reach); work.has_sources()) return work.run();
  return Picture(task.photo.width, task.photo.height, 0.5f);  // nothing is known
}

const bool kKnown = register_painter({"exemplar", PainterKind::inpaint, paint_exemplar});

}  // namespace
}  // namespace telltale
