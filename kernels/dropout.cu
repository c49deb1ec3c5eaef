// Dropout over chunks: a chunk takes two Philox blocks, so an element's draw depends on its index alone.
#include "kernels/device/launch.h"
#include "kernels/device/philox.h"
#include "kernels/dropout.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

template <class T>
struct Dropout {
  FlatChunks chunks;
  const T* x;
  T* y;
  float p;
  acc_t<T> scale;
  uint32_t node;
  const StepState* state;
  bool aligned, accumulate;
  TT_HD void operator()(int64_t i) const {
    static_assert(kChunk == 8);
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    const uint64_t key = uint64_t(node) << 32 | state->seed;
    const uint64_t step = uint64_t(uint32_t(state->step)) << 32 | state->micro_batch;
    const Philox4 low = philox(key, uint64_t(i) * 2, step), high = philox(key, uint64_t(i) * 2 + 1, step);
    Chunk<acc_t<T>> v = load_chunk(x + o, n, aligned);
    each_in_chunk([&](int k) {
      const uint32_t word = k < 4 ? low.v[k % 4] : high.v[k % 4];
      v[k] = uniform01(word) >= p ? v[k] * scale : acc_t<T>(0);
    });
    store_gradient(y + o, v, n, aligned, accumulate);
  }
};

}  // namespace

void dropout(Stream& s, const DropoutArgs& a) {
  if (a.mode == GradMode::ignore) return;
  TT_CHECK(a.x && a.y && a.x.shape == a.y.shape && a.x.dtype == a.y.dtype, ShapeError, "dropout: y ",
           to_string(a.y.shape), " of ", name_of(a.y.dtype), " must be like x, ", to_string(a.x.shape), " of ",
           name_of(a.x.dtype));
  TT_CHECK(a.p >= 0 && a.p < 1, UsageError, "dropout: p must be in [0, 1), got ", a.p);
  TT_CHECK(a.state, ShapeError, "dropout: needs the step's state, which keys the draw");
  visit_float(a.x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const FlatChunks chunks{a.x.shape.numel()};
    for_each(s, chunks.count(),
             Dropout<T>{chunks, a.x.as<T>(), a.y.as<T>(), a.p, acc_t<T>(1) / (acc_t<T>(1) - acc_t<T>(a.p)), a.node,
                        a.state, all_aligned({a.x.data, a.y.data}), a.mode == GradMode::accumulate});
  });
}

}  // namespace telltale
