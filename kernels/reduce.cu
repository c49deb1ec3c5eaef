// The device's sums: two levels, folded in a fixed tree.
#include <atomic>

#include "kernels/parts/column_tiles.h"
#include "kernels/reduce.h"

namespace telltale {
namespace {

template <class T>
struct Elements {
  using Row = RawChunk<T>;
  static constexpr int kAhead = kRowsAhead<T, 64>;
  const T* x;
  int c;
  bool is_aligned;
  TT_HD bool aligned() const { return is_aligned; }
  template <bool kAligned>
  TT_HD int begin(int, int) const {
    return 0;
  }
  template <bool kAligned>
  TT_HD void read(Row& to, int64_t row, int first, int size) const {
    to = load_raw<kAligned>(x + row * c + first, size);
  }
  template <bool kAligned>
  TT_HD void add(int, const Row& of, int64_t, int, int, Chunk<acc_t<T>> (&sums)[1]) const {
    const Chunk<acc_t<T>> v = of.numbers();
    each_in_chunk([&](int k) { sums[0][k] += v[k]; });
  }
};

template <class T>
void column_sums_of(Stream& s, Tensor x, Tensor y, bool accumulate) {
  using A = acc_t<T>;
  const ColumnTiles tiles(x.shape.rows(), x.shape.c);
  A* partial = s.workspace(size_t(tiles.slabs) * size_t(tiles.c) * sizeof(A)).template as<A>();
  const bool aligned = x.shape.c % kChunk == 0 && all_aligned({x.data});
  launch<ColumnTiles::kLanes>(s, tiles.grid(),
                              ColumnSums<A, 1, Elements<T>>{tiles, {x.as<T>(), tiles.c, aligned}, partial});
  fold_slabs<A, 1>(s, tiles.slabs, tiles.c, partial, WriteSum<A>{y.as<A>(), accumulate});
}

template <class T>
struct FiniteCheck {
  FlatChunks chunks;
  const T* x;
  bool aligned;
  StepState* state;
  TT_HD void operator()(int64_t i) const {
    const Chunk<acc_t<T>> v = load_chunk(x + chunks.offset(i), chunks.size(i), aligned);
    acc_t<T> sum = 0;
    for (int k = 0; k < kChunk; ++k) sum += v[k] * 0;  // inf·0 and NaN·0 are NaN
    if (sum == 0) return;
#ifdef __CUDA_ARCH__
    state->overflow = 1;  // whoever stores it, stores the same
#else
    std::atomic_ref<uint32_t>(state->overflow).store(1, std::memory_order_relaxed);
#endif
  }
};

}  // namespace

namespace cuda {
void column_sums(Stream& s, Tensor x, Tensor y, GradMode mode) {
  check_column_sums(x, y);
  if (mode == GradMode::ignore) return;
  visit_float(x.dtype,
              [&](auto tag) { column_sums_of<typename decltype(tag)::type>(s, x, y, mode == GradMode::accumulate); });
}
}  // namespace cuda

void finite_check(Stream& s, Tensor x, StepState* state) {
  visit_float(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const FlatChunks chunks{x.shape.numel()};
    for_each(s, chunks.count(), FiniteCheck<T>{chunks, x.as<T>(), all_aligned({x.data}), state});
  });
}

}  // namespace telltale
