#include "engine/plan.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace telltale {
namespace {
constexpr size_t kAlign = 256;  // what cudaMalloc and 16-byte vector loads of any dtype are happy with
size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }
}  // namespace

Placement place(const std::vector<Lifetime>& tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return tensors[a].bytes > tensors[b].bytes; });
  Placement out;
  out.offsets.assign(tensors.size(), 0);
  std::vector<size_t> placed;
  for (size_t i : order) {
    const Lifetime& t = tensors[i];
    std::vector<std::pair<size_t, size_t>> busy;  // byte ranges taken while t lives
    for (size_t j : placed) {
      const Lifetime& o = tensors[j];
      if (o.bytes && o.first <= t.last && t.first <= o.last) {
        busy.emplace_back(out.offsets[j], out.offsets[j] + aligned(o.bytes));
      }
    }
    std::sort(busy.begin(), busy.end());
    size_t at = 0;
    for (const auto& [begin, end] : busy) {
      if (at + aligned(t.bytes) <= begin) break;
      at = std::max(at, end);
    }
    out.offsets[i] = at;
    out.total = std::max(out.total, at + aligned(t.bytes));
    placed.push_back(i);
  }
  return out;
}

size_t peak(const std::vector<Lifetime>& tensors) {
  std::map<int, int64_t> change;
  for (const Lifetime& t : tensors) {
    change[t.first] += int64_t(aligned(t.bytes));
    change[t.last + 1] -= int64_t(aligned(t.bytes));
  }
  int64_t now = 0, most = 0;
  for (const auto& [time, delta] : change) {
    now += delta;
    most = std::max(most, now);
  }
  return size_t(most);
}

}  // namespace telltale
