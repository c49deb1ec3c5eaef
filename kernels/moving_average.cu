// A moving average over chunks.
#include "kernels/device/launch.h"
#include "kernels/moving_average.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

template <class T>
struct MovingAverage {
  FlatChunks chunks;
  const T* x;
  T* average;
  acc_t<T> gain;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    const Chunk<acc_t<T>> v = load_chunk(x + o, n, aligned);
    Chunk<acc_t<T>> mean = load_chunk(average + o, n, aligned);
    each_in_chunk([&](int k) { mean[k] += gain * (v[k] - mean[k]); });
    store_chunk(average + o, mean, n, aligned);
  }
};

}  // namespace

void moving_average(Stream& s, Tensor x, Tensor average, double decay) {
  TT_CHECK(x.shape == average.shape && x.dtype == average.dtype, ShapeError, "moving_average: ", to_string(x.shape),
           " of ", name_of(x.dtype), " does not fit ", to_string(average.shape), " of ", name_of(average.dtype));
  TT_CHECK(decay >= 0 && decay < 1, UsageError, "moving_average: decay must be in [0, 1), got ", decay);
  visit_float(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const FlatChunks chunks{x.shape.numel()};
    for_each(
        s, chunks.count(),
        MovingAverage<T>{chunks, x.as<T>(), average.as<T>(), acc_t<T>(1 - decay), all_aligned({x.data, average.data})},
        kChunk);
  });
}

}  // namespace telltale
