#include "models/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "base/table.h"
#include "kernels/device/philox.h"

namespace telltale {
namespace {

/// Draws images with replacement, as many of each class as there are.
class Draws {
 public:
  Draws(std::span<const Sample> samples, uint64_t seed) : random_(seed) {
    for (size_t i = 0; i < samples.size(); ++i) (samples[i].fake ? fakes_ : reals_).push_back(i);
  }
  std::vector<size_t> next() {
    std::vector<size_t> drawn;
    for (const std::vector<size_t>* of : {&fakes_, &reals_}) {
      for (size_t i = 0; i < of->size(); ++i) {
        drawn.push_back((*of)[size_t(random_.integer(0, int64_t(of->size()) - 1))]);
      }
    }
    return drawn;
  }

 private:
  Random random_;
  std::vector<size_t> fakes_, reals_;
};

std::vector<Sample> taken(std::span<const Sample> samples, const std::vector<size_t>& rows) {
  std::vector<Sample> some;
  some.reserve(rows.size());
  for (size_t row : rows) some.push_back(samples[row]);
  return some;
}

Interval middle_95_percent(double value, std::vector<double> draws) {
  if (!std::isfinite(value)) return {value, value, value};
  std::sort(draws.begin(), draws.end());
  const auto at = [&](double share) { return draws[size_t(std::lround(share * double(draws.size() - 1)))]; };
  return {value, at(0.025), at(0.975)};
}

void check_paired(std::span<const Sample> a, std::span<const Sample> b) {
  TT_CHECK(a.size() == b.size(), UsageError, "paired comparison of ", a.size(), " and ", b.size(), " images");
}

}  // namespace

std::string ends_of(const Interval& i) { return cat("[", fixed(i.low, 3), ", ", fixed(i.high, 3), "]"); }

std::string shown(const Interval& i) { return fixed(i.value, 3) + " " + ends_of(i); }

Interval bootstrap(std::span<const Sample> samples, const Metric& metric, int rounds, uint64_t seed) {
  Draws draws(samples, seed);
  std::vector<double> values;
  for (int i = 0; i < rounds; ++i) values.push_back(metric(taken(samples, draws.next())));
  return middle_95_percent(metric(samples), std::move(values));
}

Interval bootstrap_difference(std::span<const Sample> a, std::span<const Sample> b, const Metric& metric, int rounds,
                              uint64_t seed) {
  check_paired(a, b);
  Draws draws(a, seed);
  std::vector<double> values;
  for (int i = 0; i < rounds; ++i) {
    const std::vector<size_t> rows = draws.next();
    values.push_back(metric(taken(b, rows)) - metric(taken(a, rows)));
  }
  return middle_95_percent(metric(b) - metric(a), std::move(values));
}

double mcnemar(std::span<const Sample> a, std::span<const Sample> b, double threshold) {
  check_paired(a, b);
  int64_t only_a = 0, only_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const bool a_right = calls_fake(a[i].logit, threshold) == a[i].fake;
    const bool b_right = calls_fake(b[i].logit, threshold) == b[i].fake;
    only_a += a_right && !b_right;
    only_b += b_right && !a_right;
  }
  const int64_t n = only_a + only_b;
  double tail = 0;
  for (int64_t k = 0; k <= std::min(only_a, only_b); ++k) {  // in logarithms: 2^-n leaves double's range at 1075 images
    tail += std::exp(std::lgamma(double(n + 1)) - std::lgamma(double(k + 1)) - std::lgamma(double(n - k + 1)) -
                     double(n) * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

double permutation_test(std::span<const double> differences, int rounds, uint64_t seed) {
  if (differences.empty()) return 1;
  const double seen = std::abs(std::accumulate(differences.begin(), differences.end(), 0.0));
  // Sums of the same numbers with other signs round differently.
  const double as_far = seen - 1e-12 * std::accumulate(differences.begin(), differences.end(), 0.0,
                                                       [](double sum, double d) { return sum + std::abs(d); });
  const size_t n = differences.size();
  const bool all = n < 31 && (int64_t(1) << n) <= rounds;
  const int64_t draws = all ? int64_t(1) << n : rounds;
  Random random(seed);
  int64_t far = 0;
  for (int64_t i = 0; i < draws; ++i) {
    double sum = 0;
    uint32_t bits = uint32_t(i);
    for (size_t k = 0; k < n; ++k, bits >>= 1) {
      if (!all && k % 32 == 0) bits = random();
      sum += bits & 1 ? differences[k] : -differences[k];
    }
    far += std::abs(sum) >= as_far;
  }
  return all ? double(far) / double(draws) : double(far + 1) / double(draws + 1);
}

std::vector<double> overlaps_of_fakes(std::span<const Sample> samples, double threshold) {
  std::vector<double> overlaps;
  for (const Sample& s : samples) {
    if (s.fake) overlaps.push_back(calls_fake(s.logit, threshold) ? iou(s.predicted, s.truth) : 0);
  }
  return overlaps;
}

}  // namespace telltale
