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
  using Fold = FoldSlabs<A, 1, WriteSum<A>>;
  launch<Fold::kLanes>(s, Fold::grid(tiles.c), Fold{tiles.slabs, tiles.c, partial, {y.as<A>(), accumulate}});
}

/// One CTA's share of Σ x²; the second level reads the first's sums as they are.
template <class T, bool kSquare>
struct SumOfSquares {
  static constexpr int kLanes = 256;
  using A = acc_t<T>;
  struct Shared {
    A v[kLanes];
  };
  FlatChunks chunks;
  const T* x;
  bool aligned;
  int64_t grid;
  A* y;
  TT_HD void operator()(const Block<kLanes>& b, Shared& shared) const {
    auto sum = b.lane(A(0));
    b.each([&](int t) {
      A total = 0;
      for (int64_t i = b.index * kLanes + t; i < chunks.count(); i += grid * kLanes) {
        const Chunk<A> v = load_chunk(x + chunks.offset(i), chunks.size(i), aligned);
        for (int k = 0; k < kChunk; ++k) total += kSquare ? v[k] * v[k] : v[k];
      }
      sum[t] = total;
    });
    const A total = b.sum(sum, shared.v);
    b.each([&](int t) {
      if (t == 0) y[b.index] = total;
    });
  }
};

template <class T>
void sum_of_squares_of(Stream& s, Tensor x, Tensor y) {
  using A = acc_t<T>;
  using First = SumOfSquares<T, true>;
  const FlatChunks chunks{x.shape.numel()};
  const int64_t grid = std::clamp<int64_t>(chunks.count() / (First::kLanes * 4), 1, 1056);
  A* partial = s.workspace(size_t(grid) * sizeof(A)).template as<A>();
  launch<First::kLanes>(s, grid, First{chunks, x.as<T>(), all_aligned({x.data}), grid, partial});
  launch<First::kLanes>(s, 1, SumOfSquares<A, false>{{grid}, partial, true, 1, y.as<A>()});
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

void sum_of_squares(Stream& s, Tensor x, Tensor y) {
  check_sum_of_squares(x, y);
  visit_float(x.dtype, [&](auto tag) { sum_of_squares_of<typename decltype(tag)::type>(s, x, y); });
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
