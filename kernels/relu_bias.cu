// The device's form: column sums by tiles and slabs whose terms also write what they sum.
#include "kernels/core/column_tiles.h"
#include "kernels/core/relu_mask.h"
#include "kernels/relu_bias.h"

namespace telltale::cuda {
namespace {

template <class T>
struct Masked {
  using A = acc_t<T>;
  const T* y;
  T* dy;
  int c;
  bool aligned;
  TT_HD int begin(int, int) const { return 0; }
  TT_HD void add(int, int64_t row, int first, int size, Chunk<A> (&sums)[1]) const {
    const int64_t o = row * c + first;
    const unsigned passed = bits_of<T>(load_chunk(y + o, size, aligned), size);  // fewer registers than eight numbers
    Chunk<A> slope = load_chunk(dy + o, size, aligned);
    each_in_chunk([&](int k) { slope[k] = passed & 1u << k ? slope[k] : A(0); });
    store_chunk(dy + o, slope, size, aligned);
    each_in_chunk([&](int k) { sums[0][k] += slope[k]; });
  }
};

template <class A>
struct WriteSum {
  A* to;
  GradMode mode;
  TT_HD void operator()(int c, const A (&sum)[1]) const {
    to[c] = mode == GradMode::accumulate ? to[c] + sum[0] : sum[0];
  }
};

template <class T>
void backward(Stream& s, const ReluBiasGradArgs& a) {
  using A = acc_t<T>;
  const ColumnTiles tiles(a.y.shape.rows(), a.y.shape.c);
  A* partial = s.workspace(size_t(tiles.slabs) * size_t(tiles.c) * sizeof(A)).template as<A>();
  const bool aligned = tiles.c % kChunk == 0 && all_aligned({a.y.data, a.dy.data});
  launch<ColumnTiles::kLanes>(
      s, tiles.grid(), ColumnSums<A, 1, Masked<T>>{tiles, {a.y.as<T>(), a.dy.as<T>(), tiles.c, aligned}, partial});
  if (a.mode == GradMode::ignore) return;
  using Fold = FoldSlabs<A, 1, WriteSum<A>>;
  launch<Fold::kLanes>(s, Fold::grid(tiles.c), Fold{tiles.slabs, tiles.c, partial, {a.dbias.as<A>(), a.mode}});
}

}  // namespace

void relu_bias_backward(Stream& s, const ReluBiasGradArgs& a) {
  check_relu_bias(a);
  if (a.y.shape.numel() > 0) visit_float(a.y.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(s, a); });
}

}  // namespace telltale::cuda
