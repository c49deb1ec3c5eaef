#include "models/locator/map.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace telltale {

std::vector<Region> regions_of(const LogitMap& map, double threshold) {
  const size_t pixels = size_t(map.width) * size_t(map.height);
  TT_CHECK(map.logits.size() == pixels, ShapeError, "a map of ", map.width, "x", map.height, " has ", map.logits.size(),
           " logits");
  std::vector<Region> regions;
  std::vector<bool> seen(pixels);
  std::vector<int> open;
  for (size_t start = 0; start < pixels; ++start) {
    if (seen[start] || double(map.logits[start]) < threshold) continue;
    Region r{.box = {map.width, map.height, 0, 0}};
    seen[start] = true;
    open = {int(start)};
    while (!open.empty()) {
      const int at = open.back(), x = at % map.width, y = at / map.width;
      open.pop_back();
      r.box = {std::min(r.box.x_min, x), std::min(r.box.y_min, y), std::max(r.box.x_max, x + 1),
               std::max(r.box.y_max, y + 1)};
      ++r.area;
      r.logit += double(map.logits[size_t(at)]);
      for (int v = std::max(0, y - 1); v <= std::min(map.height - 1, y + 1); ++v)
        for (int u = std::max(0, x - 1); u <= std::min(map.width - 1, x + 1); ++u) {
          const int next = v * map.width + u;
          if (seen[size_t(next)] || double(map.logits[size_t(next)]) < threshold) continue;
          seen[size_t(next)] = true;
          open.push_back(next);
        }
    }
    r.logit /= double(r.area);
    r.area *= int64_t(map.scale) * map.scale;
    for (int* side : {&r.box.x_min, &r.box.y_min, &r.box.x_max, &r.box.y_max}) *side *= map.scale;
    regions.push_back(r);
  }
  std::stable_sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) { return a.area > b.area; });
  return regions;
}

double picture_logit(const LogitMap& map) {
  std::vector<float> logits(map.logits.begin(), map.logits.end());
  TT_CHECK(!logits.empty(), ShapeError, "a map without pixels has no logit");
  const auto top = logits.begin() + long(std::max<size_t>(1, logits.size() / 100));
  std::partial_sort(logits.begin(), top, logits.end(), std::greater<>());
  return std::accumulate(logits.begin(), top, 0.0) / double(top - logits.begin());
}

Box box_of(std::span<const Region> regions) {
  constexpr int kLeastPart = 20;
  Box all;
  int64_t largest = 0;
  for (const Region& r : regions) largest = std::max(largest, r.area);
  for (const Region& r : regions) {
    if (r.area * kLeastPart < largest) continue;
    if (all.empty()) all = r.box;
    all = {std::min(all.x_min, r.box.x_min), std::min(all.y_min, r.box.y_min), std::max(all.x_max, r.box.x_max),
           std::max(all.y_max, r.box.y_max)};
  }
  return all;
}

Sample sample_of(const LogitMap& map, const Label& label) {
  const std::vector<Region> regions = regions_of(map);
  return {label.fake, picture_logit(map), real(label.box), regions.empty() ? RealBox{} : real(box_of(regions))};
}

void shares_of(const Grey& mask, int scale, float* to) {
  TT_CHECK(mask.width % scale == 0 && mask.height % scale == 0, ShapeError, "a mask of ", mask.width, "x", mask.height,
           " is no whole number of squares of ", scale);
  for (int y = 0; y < mask.height; y += scale)
    for (int x = 0; x < mask.width; x += scale) {
      int painted = 0;
      for (int v = y; v < y + scale; ++v)
        for (int u = x; u < x + scale; ++u) painted += mask.pixels[size_t(v) * size_t(mask.width) + size_t(u)] >= 128;
      *to++ = float(painted) / float(scale * scale);
    }
}

}  // namespace telltale
