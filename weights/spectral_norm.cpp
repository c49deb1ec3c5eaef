#include "weights/spectral_norm.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace telltale {

namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Vector times(const Vector& w, const Vector& v, size_t rows) {
  const size_t columns = v.size();
  Vector y(rows);
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) y[r] += w[r * columns + c] * v[c];
  return y;
}

Vector transposed_times(const Vector& w, const Vector& u, size_t columns) {
  Vector y(columns);
  for (size_t r = 0; r < u.size(); ++r)
    for (size_t c = 0; c < columns; ++c) y[c] += w[r * columns + c] * u[r];
  return y;
}

Vector normalised(Vector v) {
  const double scale = 1 / (std::sqrt(dot(v, v)) + 1e-12);  // the published code's epsilon
  for (double& x : v) x *= scale;
  return v;
}

double one_step_sigma(const Vector& w, const Vector& u, size_t columns) {
  const Vector v = normalised(transposed_times(w, u, columns));
  const Vector wv = times(w, v, u.size());
  return dot(normalised(wv), wv);
}

/// A · Aᵀ of a rows × columns matrix.
Vector gram(const Vector& a, size_t rows, size_t columns) {
  Vector g(rows * rows);
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (size_t k = 0; k < columns; ++k) sum += a[i * columns + k] * a[j * columns + k];
      g[i * rows + j] = g[j * rows + i] = sum;
    }
  return g;
}

Vector folded_weight(const StateTensor& bar, const StateTensor& u, SpectralNorm how) {
  Vector w = bar.read();
  const size_t rows = size_t(bar.info.shape[0]), columns = w.size() / rows;
  const double sigma =
      how == SpectralNorm::one_step ? one_step_sigma(w, u.read(), columns) : largest_singular_value(w, rows, columns);
  TT_CHECK(sigma > 0 && std::isfinite(sigma), DataError, bar.info.name, ": its spectral norm is ", sigma);
  for (double& x : w) x /= sigma;
  return w;
}

}  // namespace

SpectralNorm spectral_norm_of(const std::string& name) {
  if (name == "one_step") return SpectralNorm::one_step;
  TT_CHECK(name == "folded", UsageError, "spectral norm \"", name, "\": choose one_step or folded");
  return SpectralNorm::folded;
}

// Squaring W·Wᵀ k times makes its columns the top eigenvector as 2^k power iterations would: a small gap between the
// two largest singular values costs a few more squarings, not thousands of iterations.
double largest_singular_value(const std::vector<double>& matrix, size_t rows, size_t columns) {
  const Vector first = gram(matrix, rows, columns);
  Vector g = first;
  for (int k = 0; k < 40; ++k) {
    const double largest =
        *std::max_element(g.begin(), g.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (largest == 0 || !std::isfinite(largest)) return std::abs(largest);
    for (double& x : g) x /= largest;
    g = gram(g, rows, rows);  // g is symmetric: g·gᵀ = g²
  }
  size_t top = 0;
  for (size_t i = 1; i < rows; ++i)
    if (g[i * rows + i] > g[top * rows + top]) top = i;
  const Vector u(g.begin() + ptrdiff_t(top * rows), g.begin() + ptrdiff_t((top + 1) * rows));
  return std::sqrt(dot(u, times(first, u, rows)) / dot(u, u));
}

StateDict fold_spectral_norm(const StateDict& dict, SpectralNorm how) {
  const std::string kInfix = ".module.", kBar = kInfix + "weight_bar";
  StateDict folded;
  for (const StateTensor& t : dict) {
    const std::string& name = t.info.name;
    const size_t at = name.rfind(kInfix);
    if (at == std::string::npos) {
      folded.push_back(t);
      continue;
    }
    const std::string base = name.substr(0, at), leaf = name.substr(at + kInfix.size());
    const StateTensor& bar = require(dict, base + kBar);
    const StateTensor& u = require(dict, base + kInfix + "weight_u");
    TT_CHECK(bar.info.shape.size() == 4 && bar.info.numel() > 0 && u.info.numel() == bar.info.shape[0], DataError,
             bar.info.name, ": shape ", to_string(bar.info.shape), " does not fit weight_u's ",
             to_string(u.info.shape));
    if (leaf == "weight_bar") {
      // A quotient is no number of 16 bits, even where the filter was one.
      const FileDType dtype = t.info.dtype == FileDType::f64 ? FileDType::f64 : FileDType::f32;
      folded.push_back({{base + ".weight", dtype, t.info.shape}, [bar, u, how] { return folded_weight(bar, u, how); }});
    } else if (leaf == "bias") {
      folded.push_back(t);
      folded.back().info.name = base + ".bias";
    } else {
      TT_CHECK(leaf == "weight_u" || leaf == "weight_v", DataError, name, ": not part of a spectral norm");
    }
  }
  return folded;
}

}  // namespace telltale
