#pragma once
// How sure a measured number is, and whether two detectors differ on the same images.
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/metrics.h"

namespace telltale {

/// A measured value and its 95 % interval.
struct Interval {
  double value = 0, low = 0, high = 0;
};
/// "[0.822, 0.908]".
std::string ends_of(const Interval&);
/// "0.868 [0.822, 0.908]".
std::string shown(const Interval&);

using Metric = std::function<double(std::span<const Sample>)>;

/// The percentile bootstrap (Efron and Tibshirani 1993, ch. 13): images are drawn anew `rounds` times, fakes among
/// fakes and reals among reals, so that every draw has a metric. NaN where the metric is NaN.
Interval bootstrap(std::span<const Sample> samples, const Metric& metric, int rounds = 2000, uint64_t seed = 1);
/// The same of metric(b) − metric(a), both on the same draws. a[i] and b[i] are about the same image.
Interval bootstrap_difference(std::span<const Sample> a, std::span<const Sample> b, const Metric& metric,
                              int rounds = 2000, uint64_t seed = 1);

/// The chance, were both detectors equally often right, of as uneven a split of the images that only one of them gets
/// right: exact two-sided binomial (McNemar 1947). 1 when there are none.
double mcnemar(std::span<const Sample> a, std::span<const Sample> b, double threshold = 0.5);
/// The chance, were the signs of paired differences arbitrary, of a mean as far from 0: two-sided, over all signs where
/// they are at most `rounds`, else over that many random ones (Fisher 1935; Phipson and Smyth 2010 for the + 1). 1
/// when there are none.
double permutation_test(std::span<const double> differences, int rounds = 10000, uint64_t seed = 1);

/// IoU of each fake, in order; 0 where it is called real.
std::vector<double> overlaps_of_fakes(std::span<const Sample> samples, double threshold = 0.5);

}  // namespace telltale
