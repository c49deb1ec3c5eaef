// The host's spectral norm: W is read twice to find σ and once more to divide by it. Sums run in an order that does not
// depend on the number of threads.
#include "kernels/norm/spectral_norm.h"

#include <algorithm>
#include <cmath>

namespace telltale {
namespace cpu {
namespace {

constexpr int64_t kColumns = 512;  // of one block: its sums stay in the first-level cache

/// Σ a·b.
template <class A, class B>
double dot(const A* a, const B* b, int64_t n) {
  constexpr int kWidth = 32;
  A sum[kWidth] = {};
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
#pragma omp simd
    for (int k = 0; k < kWidth; ++k) sum[k] += a[i + k] * b[i + k];
  }
  for (int k = 0; i < n; ++i, ++k) sum[k] += a[i] * b[i];
  double total = 0;
  for (A v : sum) total += double(v);
  return total;
}

template <class A>
void normalise(A* x, int64_t n) {
  const double length = std::max(std::sqrt(dot(x, x, n)), 1e-12);
  for (int64_t i = 0; i < n; ++i) x[i] = A(double(x[i]) / length);
}

/// The filter as a matrix.
template <class A>
struct Matrix {
  const A* w;
  int64_t rows, columns;
  explicit Matrix(Tensor t) : w(t.as<A>()), rows(t.shape.n), columns(t.shape.numel() / std::max(1, t.shape.n)) {}

  /// v = Wᵀu.
  void project(Stream& s, const A* u, A* v) const {
    const int64_t blocks = (columns + kColumns - 1) / kColumns;
#pragma omp parallel for num_threads(s.threads())
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t first = b * kColumns, n = std::min(kColumns, columns - first);
      A sum[kColumns] = {};
      for (int64_t k = 0; k < rows; ++k) {
        const A* row = w + k * columns + first;
        const A scale = u[k];
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) sum[j] += scale * row[j];
      }
      std::copy_n(sum, n, v + first);
    }
  }
  /// to = W v.
  void apply(Stream& s, const A* v, A* to) const {
#pragma omp parallel for num_threads(s.threads())
    for (int64_t k = 0; k < rows; ++k) to[k] = A(dot(w + k * columns, v, columns));
  }
};

template <class A, class Y>
void forward(Stream& s, const SpectralNormArgs& a) {
  const Matrix<A> m(a.w);
  A *u = a.u.as<A>(), *v = a.v.as<A>(), *applied = s.workspace(size_t(m.rows) * sizeof(A)).as<A>();
  if (a.iterate) {
    m.project(s, u, v);
    normalise(v, m.columns);
  }
  m.apply(s, v, applied);
  if (a.iterate) {
    std::copy_n(applied, m.rows, u);
    normalise(u, m.rows);
  }
  const A sigma = A(dot(u, applied, m.rows));
  *a.sigma.as<A>() = sigma;
  Y* y = a.y.as<Y>();
  const int64_t n = a.w.shape.numel();
#pragma omp parallel for num_threads(s.threads())
  for (int64_t i = 0; i < n; ++i) y[i] = store<Y>(m.w[i] / sigma);
}

template <class A>
void backward(Stream& s, const SpectralNormGradArgs& a) {
  const Matrix<A> m(a.w);
  const A *dy = a.dy.as<A>(), *u = a.u.as<A>(), *v = a.v.as<A>(), sigma = *a.sigma.as<A>();
  double* parts = s.workspace(size_t(m.rows) * sizeof(double)).template as<double>();
#pragma omp parallel for num_threads(s.threads())
  for (int64_t k = 0; k < m.rows; ++k) parts[k] = dot(m.w + k * m.columns, dy + k * m.columns, m.columns);
  double inner = 0;
  for (int64_t k = 0; k < m.rows; ++k) inner += parts[k];
  inner /= double(sigma);
  const bool accumulate = a.dw_mode == GradMode::accumulate;
  A* dw = a.dw.as<A>();
#pragma omp parallel for num_threads(s.threads())
  for (int64_t k = 0; k < m.rows; ++k) {
    const A scale = A(inner) * u[k];
    const int64_t first = k * m.columns;
#pragma omp simd
    for (int64_t j = 0; j < m.columns; ++j) {
      const A gradient = (dy[first + j] - scale * v[j]) / sigma;
      dw[first + j] = accumulate ? dw[first + j] + gradient : gradient;
    }
  }
}

}  // namespace

void spectral_norm_forward(Stream& s, const SpectralNormArgs& a) {
  check(a);
  visit_float(a.y.dtype, [&](auto tag) {
    using Y = typename decltype(tag)::type;
    forward<acc_t<Y>, Y>(s, a);
  });
}

void spectral_norm_backward(Stream& s, const SpectralNormGradArgs& a) {
  check(a);
  if (a.dw_mode == GradMode::ignore) return;
  a.w.dtype == DType::f64 ? backward<double>(s, a) : backward<float>(s, a);
}

}  // namespace cpu

namespace {
void check_filter_parts(const Tensor& w, const Tensor& u, const Tensor& v, const Tensor& sigma) {
  TT_CHECK(w && (w.dtype == DType::f32 || w.dtype == DType::f64), ShapeError,
           "spectral_norm: w must be f32 or f64, got ", name_of(w.dtype));
  const auto part = [&](const char* name, const Tensor& t, const Shape& shape) {
    TT_CHECK(t && t.shape == shape && t.dtype == w.dtype, ShapeError, "spectral_norm: ", name, " must be ",
             to_string(shape), " of ", name_of(w.dtype), ", got ", to_string(t.shape), " of ", name_of(t.dtype));
  };
  part("u", u, {1, 1, 1, w.shape.n});
  part("v", v, {1, w.shape.h, w.shape.w, w.shape.c});
  part("sigma", sigma, {1, 1, 1, 1});
}
}  // namespace

void check(const SpectralNormArgs& a) {
  check_filter_parts(a.w, a.u, a.v, a.sigma);
  TT_CHECK(a.y && a.y.shape == a.w.shape && accumulator_of(a.y.dtype) == a.w.dtype, ShapeError,
           "spectral_norm: y must be ", to_string(a.w.shape), " accumulating in ", name_of(a.w.dtype), ", got ",
           to_string(a.y.shape), " of ", name_of(a.y.dtype));
}

void check(const SpectralNormGradArgs& a) {
  check_filter_parts(a.w, a.u, a.v, a.sigma);
  for (const Tensor& t : {a.dy, a.dw}) {
    TT_CHECK((t || a.dw_mode == GradMode::ignore) && t.shape == a.w.shape && t.dtype == a.w.dtype, ShapeError,
             "spectral_norm: dy and dw must be ", to_string(a.w.shape), " of ", name_of(a.w.dtype), ", got ",
             to_string(t.shape), " of ", name_of(t.dtype));
  }
}

}  // namespace telltale
