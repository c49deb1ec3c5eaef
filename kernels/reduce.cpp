// The host's sums: blocks of fixed size, folded in order, so the bits do not depend on the number of threads.
#include "kernels/reduce.h"

#include <algorithm>

#include "kernels/parts/row_blocks.h"

namespace telltale::cpu {
namespace {

template <class T>
void column_sums(Stream& s, Tensor x, Tensor y, bool accumulate) {
  using A = acc_t<T>;
  const RowBlocks g(x.shape.rows(), x.shape.c, sizeof(T));
  const int64_t width = g.width();
  A* partial = s.workspace(size_t(g.count * width) * sizeof(A)).as<A>();
  const T* from = x.as<T>();
#pragma omp parallel for num_threads(s.threads()) if (!g.small())
  for (int64_t b = 0; b < g.count; ++b) {
    A* sum = partial + b * width;
    std::fill(sum, sum + width, A(0));
    g.groups(b, [&](int64_t offset, int64_t length) {
#pragma omp simd
      for (int64_t i = 0; i < length; ++i) sum[i] += load(from[offset + i]);
    });
    g.fold_rows(sum);
  }
  A* to = y.as<A>();
  constexpr int kAtOnce = 64;
  for (int first = 0; first < g.c; first += kAtOnce) {
    const int n = std::min(kAtOnce, g.c - first);
    double total[kAtOnce] = {};
    for (int64_t b = 0; b < g.count; ++b) {
      for (int c = 0; c < n; ++c) total[c] += double(partial[b * width + first + c]);
    }
    for (int c = 0; c < n; ++c) to[first + c] = accumulate ? to[first + c] + A(total[c]) : A(total[c]);
  }
}

}  // namespace

void column_sums(Stream& s, Tensor x, Tensor y, GradMode mode) {
  check_column_sums(x, y);
  if (mode == GradMode::ignore) return;
  visit_float(x.dtype,
              [&](auto tag) { column_sums<typename decltype(tag)::type>(s, x, y, mode == GradMode::accumulate); });
}

}  // namespace telltale::cpu

namespace telltale {

void check_column_sums(const Tensor& x, const Tensor& y) {
  TT_CHECK(y && y.shape == (Shape{1, 1, 1, x.shape.c}) && y.dtype == accumulator_of(x.dtype), ShapeError,
           "column_sums: y must be [1,1,1,", x.shape.c, "] of ", name_of(accumulator_of(x.dtype)), ", got ",
           to_string(y.shape), " of ", name_of(y.dtype));
}

}  // namespace telltale
