#include "kernels/relu_bias.h"

#include "kernels/parts/row_blocks.h"
#include "kernels/reduce.h"

namespace telltale {

void check_relu_bias(const ReluBiasGradArgs& a) {
  TT_CHECK(a.y && a.dy && a.y.shape == a.dy.shape && a.y.dtype == a.dy.dtype, ShapeError, "relu_bias: dy, ",
           to_string(a.dy.shape), " of ", name_of(a.dy.dtype), ", must be like y, ", to_string(a.y.shape), " of ",
           name_of(a.y.dtype));
  if (a.mode != GradMode::ignore) check_column_sums(a.y, a.dbias);
}

namespace cpu {
namespace {

template <class T>
void backward(Stream& s, const ReluBiasGradArgs& a) {
  using A = acc_t<T>;
  const RowBlocks g(a.y.shape.rows(), a.y.shape.c, sizeof(T));
  const int64_t width = g.width();
  A* partial = s.workspace(size_t(g.count * width) * sizeof(A)).template as<A>();
  const T* y = a.y.as<T>();
  T* dy = a.dy.as<T>();
#pragma omp parallel for num_threads(s.threads()) if (!g.small())
  for (int64_t b = 0; b < g.count; ++b) {
    A* sum = partial + b * width;
    std::fill(sum, sum + width, A(0));
    g.groups(b, [&](int64_t o, int64_t length) {
#pragma omp simd
      for (int64_t i = 0; i < length; ++i) {
        const A gradient = load(y[o + i]) > A(0) ? load(dy[o + i]) : A(0);
        dy[o + i] = store<T>(gradient);
        sum[i] += gradient;
      }
    });
    g.fold_rows(sum);
  }
  if (a.mode == GradMode::ignore) return;
  A* to = a.dbias.as<A>();
  for (int c = 0; c < g.c; ++c) {
    double total = 0;
    for (int64_t b = 0; b < g.count; ++b) total += double(partial[b * width + c]);
    to[c] = a.mode == GradMode::accumulate ? to[c] + A(total) : A(total);
  }
}

}  // namespace

void relu_bias_backward(Stream& s, const ReluBiasGradArgs& a) {
  check_relu_bias(a);
  if (a.y.shape.numel() > 0) visit_float(a.y.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(s, a); });
}

}  // namespace cpu
}  // namespace telltale
