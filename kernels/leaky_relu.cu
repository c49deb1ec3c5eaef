// Leaky ReLU over chunks.
#include "kernels/device/launch.h"
#include "kernels/leaky_relu.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

/// to = from, times slope where `sign` is not above 0: forward with sign = from, backward with sign = y.
template <class T>
struct Leak {
  FlatChunks chunks;
  const T *from, *sign;
  T* to;
  acc_t<T> slope;
  bool aligned, accumulate;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    Chunk<acc_t<T>> v = load_chunk(from + o, n, aligned);
    const Chunk<acc_t<T>> y = load_chunk(sign + o, n, aligned);
    each_in_chunk([&](int k) { v[k] = y[k] > 0 ? v[k] : v[k] * slope; });
    store_gradient(to + o, v, n, aligned, accumulate);
  }
};

void leak(Stream& s, Tensor from, Tensor sign, Tensor to, float slope, bool accumulate) {
  for (const Tensor& t : {sign, to}) {
    TT_CHECK(t && t.shape == from.shape && t.dtype == from.dtype, ShapeError, "leaky_relu: ", to_string(t.shape),
             " of ", name_of(t.dtype), " does not fit ", to_string(from.shape), " of ", name_of(from.dtype));
  }
  visit_float(from.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const FlatChunks chunks{from.shape.numel()};
    for_each(s, chunks.count(),
             Leak<T>{chunks, from.as<T>(), sign.as<T>(), to.as<T>(), acc_t<T>(slope),
                     all_aligned({from.data, sign.data, to.data}), accumulate},
             kChunk);
  });
}

}  // namespace

void leaky_relu_forward(Stream& s, Tensor x, Tensor y, float slope) {
  TT_CHECK(slope > 0, UsageError, "leaky_relu: slope must be above 0, got ", slope);
  leak(s, x, x, y, slope, false);
}

void leaky_relu_backward(Stream& s, Tensor y, Tensor dy, Tensor dx, float slope, GradMode mode) {
  if (mode != GradMode::ignore) leak(s, dy, y, dx, slope, mode == GradMode::accumulate);
}

}  // namespace telltale
