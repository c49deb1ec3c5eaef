#include "models/audit/logistic.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

/// Solves A·s = g in place of g; A is symmetric, positive definite and lost. n × n, row-major.
void solve_cholesky(std::vector<double>& a, std::vector<double>& g) {
  const size_t n = g.size();
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) g[i] -= a[i * n + k] * g[k];
    g[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) g[i] -= a[k * n + i] * g[k];
    g[i] /= a[i * n + i];
  }
}

/// Means and spreads of the columns; a spread too small to matter is 0.
void standardise(LogisticModel& m, const std::vector<std::span<const double>>& x) {
  const size_t facts = x[0].size();
  m.mean.assign(facts, 0);
  m.spread.assign(facts, 0);
  m.weight.assign(facts, 0);
  for (const auto& row : x)
    for (size_t j = 0; j < facts; ++j) m.mean[j] += row[j] / double(x.size());
  for (const auto& row : x)
    for (size_t j = 0; j < facts; ++j) m.spread[j] += (row[j] - m.mean[j]) * (row[j] - m.mean[j]) / double(x.size());
  for (size_t j = 0; j < facts; ++j) {
    const double spread = std::sqrt(m.spread[j]);
    m.spread[j] = spread > 1e-9 * (1 + std::abs(m.mean[j])) ? spread : 0;
  }
}

}  // namespace

double LogisticModel::logit(std::span<const double> facts) const {
  double sum = bias;
  for (size_t j = 0; j < weight.size(); ++j)
    if (spread[j] > 0) sum += weight[j] * (facts[j] - mean[j]) / spread[j];
  return sum;
}

int LogisticModel::strongest() const {
  const auto at =
      std::max_element(weight.begin(), weight.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  return at == weight.end() || *at == 0 ? -1 : int(at - weight.begin());
}

LogisticModel fit_logistic(const std::vector<std::span<const double>>& x, const std::vector<bool>& y, double ridge) {
  TT_CHECK(!x.empty() && x.size() == y.size() && ridge > 0, UsageError, "no logistic regression of ", x.size(),
           " rows with ", y.size(), " classes and a ridge of ", ridge);
  LogisticModel m;
  standardise(m, x);
  std::vector<size_t> used;  // facts that differ
  for (size_t j = 0; j < m.spread.size(); ++j)
    if (m.spread[j] > 0) used.push_back(j);
  const size_t n = used.size() + 1;  // the bias comes last
  std::vector<double> row(n, 1);
  constexpr int kMostSteps = 30;
  for (int step = 0; step < kMostSteps; ++step) {
    std::vector<double> hessian(n * n, 0), gradient(n, 0);
    for (size_t i = 0; i < x.size(); ++i) {
      for (size_t j = 0; j + 1 < n; ++j) row[j] = (x[i][used[j]] - m.mean[used[j]]) / m.spread[used[j]];
      const double p = sigmoid(m.logit(x[i])), curvature = std::max(p * (1 - p), 1e-9);
      for (size_t j = 0; j < n; ++j) {
        gradient[j] += (p - double(y[i])) * row[j];
        for (size_t k = 0; k <= j; ++k) hessian[j * n + k] += curvature * row[j] * row[k];
      }
    }
    for (size_t j = 0; j + 1 < n; ++j) {
      gradient[j] += ridge * m.weight[used[j]];
      hessian[j * n + j] += ridge;
    }
    solve_cholesky(hessian, gradient);
    double largest = 0;
    for (size_t j = 0; j < n; ++j) {
      (j + 1 < n ? m.weight[used[j]] : m.bias) -= gradient[j];
      largest = std::max(largest, std::abs(gradient[j]));
    }
    if (largest < 1e-6) break;
  }
  return m;
}

}  // namespace telltale
