#include "models/locator/reliability.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

constexpr int kSteps = 16, kFarthest = 32, kBins = 2 * kFarthest * kSteps;

size_t bin_of(float logit) {
  const float within = std::clamp(logit, -float(kFarthest), float(kFarthest));
  return size_t(std::min(int((within + kFarthest) * kSteps), kBins - 1));
}

double logit_of(size_t bin) { return (double(bin) + 0.5) / kSteps - kFarthest; }

}  // namespace

double PixelCalibration::probability(double logit) const { return sigmoid(scale * logit + bias); }

LogitCounts::LogitCounts() : painted_(kBins), others_(kBins) {}

void LogitCounts::add(const float* logits, const float* labels, int64_t pixels) {
  for (int64_t i = 0; i < pixels; ++i) ++(labels[i] >= 0.5f ? painted_ : others_)[bin_of(logits[i])];
}

void LogitCounts::add(const LogitCounts& more) {
  for (size_t i = 0; i < painted_.size(); ++i) {
    painted_[i] += more.painted_[i];
    others_[i] += more.others_[i];
  }
}

PixelCalibration LogitCounts::fitted() const {
  const auto sum = [](const std::vector<int64_t>& counts) {
    return double(std::accumulate(counts.begin(), counts.end(), int64_t(0)));
  };
  const double all = sum(painted_) + sum(others_);
  if (sum(painted_) == 0 || sum(others_) == 0) return {};
  // Newton's method on the mean log loss, from no scale at all: the loss is convex, and the first step is short.
  constexpr double kRidge = 1e-9;  // keeps classes that one logit parts solvable
  PixelCalibration line{0, std::log(sum(painted_) / sum(others_))};
  for (int step = 0; step < 50; ++step) {
    double g_scale = 0, g_bias = 0, h_scale = kRidge, h_both = 0, h_bias = kRidge;
    for (size_t bin = 0; bin < painted_.size(); ++bin) {
      const double count = double(painted_[bin] + others_[bin]) / all;
      if (count == 0) continue;
      const double x = logit_of(bin), p = line.probability(x), error = count * p - double(painted_[bin]) / all;
      g_scale += error * x;
      g_bias += error;
      h_scale += count * p * (1 - p) * x * x;
      h_both += count * p * (1 - p) * x;
      h_bias += count * p * (1 - p);
    }
    const double determinant = h_scale * h_bias - h_both * h_both;
    const double scale = (h_bias * g_scale - h_both * g_bias) / determinant;
    const double bias = (h_scale * g_bias - h_both * g_scale) / determinant;
    const double share = std::min(1.0, 4 / (std::abs(scale) + std::abs(bias) + 1e-300));  // no leap past the minimum
    line.scale -= share * scale;
    line.bias -= share * bias;
    if (std::abs(scale) + std::abs(bias) < 1e-10) break;
  }
  return line;
}

double reliability(const LogitMap& map, const PixelCalibration& calibration) {
  TT_CHECK(!map.logits.empty(), ShapeError, "a map without pixels is neither right nor wrong");
  double right = 0;
  for (const float logit : map.logits) {
    const double p = calibration.probability(logit);
    right += logit >= 0 ? p : 1 - p;
  }
  return right / double(map.logits.size());
}

}  // namespace telltale
