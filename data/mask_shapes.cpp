#include "data/mask_shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <queue>

#include "data/mask.h"
#include "data/painters/picture.h"

namespace telltale {
namespace {

/// Even-odd, by pixel centres.
Grey fill_polygon(const std::vector<Point>& corners, int width, int height) {
  Grey mask(width, height);
  std::vector<double> crossings;
  for (int y = 0; y < height; ++y) {
    crossings.clear();
    for (size_t i = 0; i < corners.size(); ++i) {
      const Point a = corners[i], b = corners[(i + 1) % corners.size()];
      if ((a.y <= y + .5) == (b.y <= y + .5)) continue;
      crossings.push_back(a.x + (y + .5 - a.y) / (b.y - a.y) * (b.x - a.x));
    }
    std::sort(crossings.begin(), crossings.end());
    for (size_t k = 0; k + 1 < crossings.size(); k += 2) {
      const int from = std::clamp(int(std::ceil(crossings[k] - .5)), 0, width),
                to = std::clamp(int(std::ceil(crossings[k + 1] - .5)), from, width);
      std::fill_n(mask.pixels.begin() + ptrdiff_t(y) * width + from, to - from, uint8_t(255));
    }
  }
  return mask;
}

/// Hole where most of the (2·radius + 1)² around are.
Grey majority(const Grey& mask, int radius) {
  Grey out(mask.width, mask.height);
  std::vector<int> across(mask.pixels.size());
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x)
      for (int u = x - radius; u <= x + radius; ++u)
        across[size_t(y) * size_t(mask.width) + size_t(x)] +=
            mask.pixels[size_t(y) * size_t(mask.width) + size_t(std::clamp(u, 0, mask.width - 1))] / 255;
  const int most = (2 * radius + 1) * (2 * radius + 1) / 2;
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x) {
      int sum = 0;
      for (int v = y - radius; v <= y + radius; ++v)
        sum += across[size_t(std::clamp(v, 0, mask.height - 1)) * size_t(mask.width) + size_t(x)];
      out.pixels[size_t(y) * size_t(mask.width) + size_t(x)] = sum > most ? 255 : 0;
    }
  return out;
}

/// What the picture's edge cannot be reached from without crossing the mask becomes part of it.
void close_holes(Grey& mask) {
  std::vector<uint8_t> reached(mask.pixels.size());
  std::vector<int> stack;
  const auto visit = [&](int x, int y) {
    const size_t i = size_t(y) * size_t(mask.width) + size_t(x);
    if (mask.pixels[i] || reached[i]) return;
    reached[i] = 1;
    stack.push_back(int(i));
  };
  for (int x = 0; x < mask.width; ++x) visit(x, 0), visit(x, mask.height - 1);
  for (int y = 0; y < mask.height; ++y) visit(0, y), visit(mask.width - 1, y);
  while (!stack.empty()) {
    const int x = stack.back() % mask.width, y = stack.back() / mask.width;
    stack.pop_back();
    if (x > 0) visit(x - 1, y);
    if (x + 1 < mask.width) visit(x + 1, y);
    if (y > 0) visit(x, y - 1);
    if (y + 1 < mask.height) visit(x, y + 1);
  }
  for (size_t i = 0; i < reached.size(); ++i)
    if (!reached[i]) mask.pixels[i] = 255;
}

/// `pixels` wider on all sides.
Grey dilated(const Grey& mask, double pixels) {
  Grey outside(mask.width, mask.height), out(mask.width, mask.height);
  std::transform(mask.pixels.begin(), mask.pixels.end(), outside.pixels.begin(),
                 [](uint8_t v) { return uint8_t(255 - v); });
  const std::vector<float> away = depth_in_hole(outside);
  std::transform(away.begin(), away.end(), out.pixels.begin(), [&](float d) { return d <= pixels ? 255 : 0; });
  return out;
}

}  // namespace

void draw_segment(Grey& mask, Point a, Point b, double radius) {
  const Box around =
      intersect({int(std::floor(std::min(a.x, b.x) - radius)), int(std::floor(std::min(a.y, b.y) - radius)),
                 int(std::ceil(std::max(a.x, b.x) + radius)) + 1, int(std::ceil(std::max(a.y, b.y) + radius)) + 1},
                {0, 0, mask.width, mask.height});
  const double dx = b.x - a.x, dy = b.y - a.y, squared = dx * dx + dy * dy;
  for (int y = around.y_min; y < around.y_max; ++y) {
    for (int x = around.x_min; x < around.x_max; ++x) {
      const double px = x + 0.5 - a.x, py = y + 0.5 - a.y;
      const double along = squared > 0 ? std::clamp((px * dx + py * dy) / squared, 0.0, 1.0) : 0;
      const double ox = px - along * dx, oy = py - along * dy;
      if (ox * ox + oy * oy <= radius * radius) mask.pixels[size_t(y) * mask.width + x] = 255;
    }
  }
}

Grey random_rectangle(int width, int height, double area, Random& random) {
  const double aspect = std::pow(3.0, random.uniform(-1, 1)), side = std::sqrt(area * width * height);
  const int w = std::clamp(int(std::lround(side * std::sqrt(aspect))), 1, width),
            h = std::clamp(int(std::lround(area * width * height / w)), 1, height);
  const int x = int(random.integer(0, width - w)), y = int(random.integer(0, height - h));
  return rasterise({x, y, x + w, y + h}, width, height);
}

Grey random_polygon(int width, int height, double area, Random& random) {
  const int count = int(random.integer(4, 9));
  const double radius = std::sqrt(area * width * height / std::numbers::pi);
  const double stretch = std::pow(2.0, random.uniform(-.5, .5)), turned = random.uniform(0, 2 * std::numbers::pi);
  const Point centre{random.uniform(std::min(radius, width / 2.0), std::max(width - radius, width / 2.0)),
                     random.uniform(std::min(radius, height / 2.0), std::max(height - radius, height / 2.0))};
  std::vector<Point> corners;
  double twice_area = 0;
  for (int k = 0; k < count; ++k) {
    const double angle = turned + 2 * std::numbers::pi * (k + random.uniform(-.35, .35)) / count;
    const double length = random.uniform(.55, 1.45);
    corners.push_back({length * stretch * std::cos(angle), length / stretch * std::sin(angle)});
  }
  for (size_t k = 0; k < corners.size(); ++k) {
    const Point a = corners[k], b = corners[(k + 1) % corners.size()];
    twice_area += a.x * b.y - a.y * b.x;
  }
  const double scale = std::sqrt(area * width * height / std::max(std::abs(twice_area) / 2, 1e-9));
  for (Point& p : corners) p = {centre.x + scale * p.x, centre.y + scale * p.y};
  return fill_polygon(corners, width, height);
}

Grey random_stroke(int width, int height, double area, Random& random) {
  Grey mask(width, height);
  const double brush = std::max(1.5, std::sqrt(area * width * height) * random.uniform(.2, .5));
  const double swing = random.uniform(.3, 1.5);
  Point at{random.uniform(0, width), random.uniform(0, height)};
  double angle = random.uniform(0, 2 * std::numbers::pi);
  constexpr int kMostSegments = 60;  // where it only goes over itself
  for (int k = 0; k < kMostSegments && area_share(mask) < area; ++k) {
    angle += random.uniform(-swing, swing);
    const double step = brush * random.uniform(.3, .9);
    const Point next{at.x + step * std::cos(angle), at.y + step * std::sin(angle)};
    if (next.x < 0 || next.y < 0 || next.x > width || next.y > height) {
      angle += random.uniform(1, 4);  // back from the picture's edge
      continue;
    }
    draw_segment(mask, at, next, brush / 2);
    at = next;
  }
  return mask;
}

Grey random_object(const Image& photo, double area, Random& random) {
  const Picture picture = gaussian_blur(to_picture(photo), 1);
  const int w = photo.width, h = photo.height;
  Grey mask(w, h);
  const auto wanted = std::max(int64_t(1), int64_t(std::lround(area * w * h)));
  struct Candidate {
    float cost;
    int pixel;
    bool operator<(const Candidate& b) const { return cost != b.cost ? cost > b.cost : pixel > b.pixel; }
  };
  std::priority_queue<Candidate> front;
  std::vector<uint8_t> queued(mask.pixels.size());
  const int seed = int(random.integer(0, int64_t(w) * h - 1));
  double mean[3];
  for (int c = 0; c < 3; ++c) mean[c] = picture.rgb[size_t(seed) * 3 + size_t(c)];
  const double edges = random.uniform(1, 4), compactness = random.uniform(.05, .4);
  const double radius = std::sqrt(area * w * h / std::numbers::pi);
  front.push({0, seed});
  queued[size_t(seed)] = 1;
  for (int64_t taken = 0; taken < wanted && !front.empty(); ++taken) {
    const int at = front.top().pixel;
    front.pop();
    mask.pixels[size_t(at)] = 255;
    const float* here = &picture.rgb[size_t(at) * 3];
    for (int c = 0; c < 3; ++c) mean[c] += (here[c] - mean[c]) / double(taken + 1);
    const int x = at % w, y = at / w;
    for (const auto& [dx, dy] : {std::array{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
      const int u = x + dx, v = y + dy;
      if (u < 0 || v < 0 || u >= w || v >= h || queued[size_t(v) * size_t(w) + size_t(u)]) continue;
      queued[size_t(v) * size_t(w) + size_t(u)] = 1;
      const float* there = picture.at(u, v);
      double unlike = 0, step = 0;
      for (int c = 0; c < 3; ++c) unlike += std::abs(there[c] - mean[c]), step += std::abs(there[c] - here[c]);
      const double far = std::hypot(u - seed % w, v - seed / w) / radius;
      front.push({float(unlike + edges * step + compactness * far), v * w + u});
    }
  }
  mask = majority(mask, 2);
  close_holes(mask);
  return dilated(mask, double(random.integer(0, 3)));
}

}  // namespace telltale
