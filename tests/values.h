#pragma once
// Values that tests draw and compare.
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/device/philox.h"

namespace telltale {

/// `count` values drawn evenly from [low, high): the same for the same seed, on every machine.
inline std::vector<double> uniform_values(int64_t count, uint64_t seed, double low = -1, double high = 1) {
  Random random(seed);
  std::vector<double> v(static_cast<size_t>(count));
  for (double& e : v) e = random.uniform(low, high);
  return v;
}

/// Root mean square of got − want as a share of want's; both are of one size.
inline double relative_rms(const std::vector<double>& want, const std::vector<double>& got) {
  double error = 0, size = 1e-9;
  for (size_t i = 0; i < want.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    size += want[i] * want[i];
  }
  return std::sqrt(error / size);
}

}  // namespace telltale
