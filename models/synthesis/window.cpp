#include "models/synthesis/window.h"

#include <algorithm>
#include <map>

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

namespace {

/// Those of one generator.
std::vector<Group> groups_of_generator(const Plan& plan, int generator, int size, int batch, int worth) {
  std::map<int, std::vector<const Row*>> by_side;
  for (const Row& r : plan.rows)
    if (r.treatment.painter == kGeneratorPainter && r.treatment.generator == generator)
      by_side[window_side(r.label.box, size)].push_back(&r);
  by_side[size];  // the widest takes what nobody else does
  for (auto it = by_side.begin(); it->first < size;) {
    auto& [side, rows] = *it;
    if (rows.size() >= size_t(worth) * size_t(batch)) {
      ++it;
      continue;
    }
    std::vector<const Row*>& wider = std::next(it)->second;
    wider.insert(wider.end(), rows.begin(), rows.end());
    it = by_side.erase(it);
  }
  std::vector<Group> groups;
  for (auto it = by_side.rbegin(); it != by_side.rend(); ++it) {
    std::sort(it->second.begin(), it->second.end());  // as they lie in the plan
    for (const Row* row : it->second) {
      if (groups.empty() || groups.back().rows.size() == size_t(batch)) groups.push_back({{}, it->first, generator});
      groups.back().rows.push_back(row);
    }
  }
  return groups;
}

}  // namespace

std::vector<Group> groups_of(const Plan& plan, int size, int batch, int worth) {
  int generators = 0;
  for (const Row& r : plan.rows) generators = std::max(generators, r.treatment.generator + 1);
  std::vector<Group> groups;
  for (int g = 0; g < generators; ++g) {
    std::vector<Group> more = groups_of_generator(plan, g, size, batch, worth);
    std::move(more.begin(), more.end(), std::back_inserter(groups));
  }
  return groups;
}

}  // namespace telltale
