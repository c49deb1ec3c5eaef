#include "models/calibration_error.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "kernels/parts/math.h"

namespace telltale {

double calibration_error(std::span<const Sample> samples, int bins) {
  TT_CHECK(bins > 0, UsageError, "a calibration error needs bins, not ", bins);
  std::vector<double> excess(size_t(bins), 0.0);  // of the probabilities' sum over the fakes' number
  for (const Sample& s : samples) {
    const double p = sigmoid(s.logit);
    excess[size_t(std::min(int(p * bins), bins - 1))] += p - s.fake;
  }
  double sum = 0;
  for (const double e : excess) sum += std::abs(e);
  return samples.empty() ? 0 : sum / double(samples.size());
}

}  // namespace telltale
