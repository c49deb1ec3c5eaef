#pragma once
// Small systems of linear equations.
#include <cmath>
#include <cstddef>
#include <span>

namespace telltale {

/// Solves a·x = b by Cholesky's decomposition: a is n × n, row-major, symmetric and positive definite (its lower
/// triangle is read, and used up), b n × columns, row-major, which x takes the place of. What is not positive definite
/// gives NaN.
inline void solve_positive_definite(std::span<double> a, std::span<double> b, size_t n, size_t columns = 1) {
  for (size_t j = 0; j < n; ++j)
    for (size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  for (size_t c = 0; c < columns; ++c) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < i; ++k) b[i * columns + c] -= a[i * n + k] * b[k * columns + c];
      b[i * columns + c] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
      for (size_t k = i + 1; k < n; ++k) b[i * columns + c] -= a[k * n + i] * b[k * columns + c];
      b[i * columns + c] /= a[i * n + i];
    }
  }
}

}  // namespace telltale
