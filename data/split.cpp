#include "data/split.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "kernels/device/philox.h"

namespace telltale {

namespace {

constexpr std::array kSplits{Split::train, Split::validation, Split::test};

uint64_t first_digits(const std::string& digest, size_t from) {
  uint64_t value = 0;
  const char* begin = digest.data() + from;
  const auto [end, error] = std::from_chars(begin, begin + 16, value, 16);
  TT_CHECK(error == std::errc() && end == begin + 16, DataError, "'", digest, "' is not a SHA-256");
  return value;
}

// 64 uniform bits that follow from the seed and the photograph's bytes.
uint64_t draw(uint64_t seed, const std::string& digest) {
  TT_CHECK(digest.size() == 64, DataError, "'", digest, "' is not a SHA-256");
  const Philox4 words = philox(seed, first_digits(digest, 0), first_digits(digest, 16));
  return uint64_t(words.v[0]) << 32 | words.v[1];
}

double to_unit(uint64_t bits) { return double(bits >> 11) * 0x1p-53; }

// Photographs with the same bytes, and their draw.
struct Copies {
  uint64_t draw;
  std::vector<int> members;
};

std::vector<Copies> group(uint64_t seed, const std::vector<std::string>& digests) {
  std::vector<int> order(digests.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return digests[a] < digests[b]; });
  std::vector<Copies> groups;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || digests[order[i]] != digests[order[i - 1]]) groups.push_back({draw(seed, digests[order[i]]), {}});
    groups.back().members.push_back(order[i]);
  }
  std::stable_sort(groups.begin(), groups.end(), [](const Copies& a, const Copies& b) { return a.draw < b.draw; });
  return groups;
}

std::vector<Split> assign_counts(const SplitPlan& plan, uint64_t seed, const std::vector<std::string>& digests) {
  std::array<int64_t, 3> left{};
  int64_t wanted = 0;
  for (int s = 0; s < 3; ++s) wanted += left[s] = int64_t(plan.amount[s]);
  const int64_t photos = int64_t(digests.size());
  TT_CHECK(wanted <= photos, DataError, "the split asks for ", wanted, " photographs, and there are ", photos);

  std::vector<Split> splits(digests.size(), Split::none);
  const auto place = [&](const Copies& copies, int from) {
    for (int s = from; s < 3; ++s)
      if (left[s] >= int64_t(copies.members.size())) {
        left[s] -= int64_t(copies.members.size());
        for (const int m : copies.members) splits[m] = kSplits[s];
        return;
      }
  };
  // Copies first, each where its draw falls; single photographs then fill the counts up exactly.
  const auto groups = group(seed, digests);
  for (const Copies& g : groups) {
    if (g.members.size() == 1) continue;
    const double at = to_unit(g.draw) * double(photos);
    int s = 0;
    for (double end = 0; s < 3; ++s)
      if (at < (end += plan.amount[s])) break;
    place(g, s);
  }
  for (const Copies& g : groups)
    if (g.members.size() == 1) place(g, 0);
  const int64_t missing = left[0] + left[1] + left[2];
  TT_CHECK(missing == 0, DataError, "the split cannot be filled (", missing,
           " photographs short): copies of one photograph must stay together; ask for fewer");
  return splits;
}

}  // namespace

SplitPlan parse_split(const std::string& text) {
  SplitPlan plan;
  const auto wrong = [&] {
    return UsageError(
        cat("split '", text, "': expected three counts (25000,5000,6500) or three shares of 1 (.7,.15,.15)"));
  };
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int s = 0; s < 3; ++s) {
    const auto [stop, error] = std::from_chars(at, end, plan.amount[s]);
    if (error != std::errc() || !std::isfinite(plan.amount[s]) || plan.amount[s] < 0 || plan.amount[s] > 1e12)
      throw wrong();
    if (s < 2 ? stop == end || *stop != ',' : stop != end) throw wrong();
    at = stop + 1;
  }
  const double sum = plan.amount[0] + plan.amount[1] + plan.amount[2];
  if (std::abs(sum - 1) < 1e-6) return plan;
  plan.exact = true;
  for (const double a : plan.amount)
    if (a != std::floor(a)) throw wrong();
  if (sum < 1) throw wrong();
  return plan;
}

std::vector<Split> assign_splits(const SplitPlan& plan, uint64_t seed, const std::vector<std::string>& digests) {
  if (plan.exact) return assign_counts(plan, seed, digests);
  std::vector<Split> splits;
  for (const std::string& digest : digests) {
    const double u = to_unit(draw(seed, digest));
    splits.push_back(u < plan.amount[0]                    ? Split::train
                     : u < plan.amount[0] + plan.amount[1] ? Split::validation
                                                           : Split::test);
  }
  return splits;
}

void split_by_order(std::vector<Label>& labels, const SplitPlan& counts) {
  TT_CHECK(counts.exact, UsageError, "a split by row order needs counts, as 25000,5000,6500");
  size_t row = 0;
  for (int s = 0; s < 3; ++s)
    for (int64_t n = int64_t(counts.amount[s]); n > 0; --n, ++row) {
      TT_CHECK(row < labels.size(), DataError, "the split asks for more rows than the ", labels.size(), " there are");
      labels[row].split = kSplits[s];
    }
  for (; row < labels.size(); ++row) labels[row].split = Split::none;
}

}  // namespace telltale
