#pragma once
// How far the calls of a map's pixels are to be trusted.
#include <cstdint>
#include <vector>

#include "models/locator/map.h"

namespace telltale {

/// The probability that a pixel with some logit was painted: sigmoid(scale · logit + bias) (Platt 1999).
struct PixelCalibration {
  double scale = 1, bias = 0;
  double probability(double logit) const;
};

/// Counts pixels, painted and others, by their logits, in steps of 1/16 up to ±32.
class LogitCounts {
 public:
  LogitCounts();
  /// Labels from .5 on are painted.
  void add(const float* logits, const float* labels, int64_t pixels);
  void add(const LogitCounts& more);
  /// The line with the least log loss over what was counted. The identity where either class is absent.
  PixelCalibration fitted() const;

 private:
  std::vector<int64_t> painted_, others_;
};

/// The share of a map's pixels whose call (painted from logit 0 on) is expected to be right, in [0, 1].
double reliability(const LogitMap&, const PixelCalibration&);

}  // namespace telltale
