#pragma once
// Logistic regression on many facts, as an audit needs it: no dial to turn.
#include <span>
#include <vector>

namespace telltale {

struct LogisticModel {
  std::vector<double> mean, spread, weight;  ///< by fact; spread 0: it never differed, and counts nothing
  double bias = 0;
  double logit(std::span<const double> facts) const;
  /// The fact of the largest weight; −1 when all are 0.
  int strongest() const;
};
/// Minimises the log loss plus ridge/2 · Σ weight² over standardised facts, by Newton's method. y: whether each is
/// positive. The same input gives the same bits.
LogisticModel fit_logistic(const std::vector<std::span<const double>>& x, const std::vector<bool>& y, double ridge);

}  // namespace telltale
