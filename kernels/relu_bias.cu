// The device's form: column sums by tiles and slabs whose terms also write what they sum.
#include "kernels/parts/column_tiles.h"
#include "kernels/parts/relu_mask.h"
#include "kernels/relu_bias.h"

namespace telltale::cuda {
namespace {

template <class T>
struct Masked {
  using A = acc_t<T>;
  static constexpr int kAhead = kRowsAhead<T, 32>;
  struct Row {
    RawChunk<T> y, dy;
  };
  const T* y;
  T* dy;
  int c;
  bool is_aligned;
  TT_HD bool aligned() const { return is_aligned; }
  template <bool kAligned>
  TT_HD int begin(int, int) const {
    return 0;
  }
  template <bool kAligned>
  TT_HD void read(Row& to, int64_t row, int first, int size) const {
    const int64_t o = row * c + first;
    to = {load_raw<kAligned>(y + o, size), load_raw<kAligned>(dy + o, size)};
  }
  template <bool kAligned>
  TT_HD void add(int, const Row& of, int64_t row, int first, int size, Chunk<A> (&sums)[1]) const {
    const Chunk<A> v = of.y.numbers();
    Chunk<A> gradient = of.dy.numbers();
    each_in_chunk([&](int k) { gradient[k] = passes<T>(v[k]) ? gradient[k] : A(0); });
    store_chunk(dy + row * c + first, gradient, size, kAligned);
    each_in_chunk([&](int k) { sums[0][k] += gradient[k]; });
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
  fold_slabs<A, 1>(s, tiles.slabs, tiles.c, partial, WriteSum<A>{a.dbias.as<A>(), a.mode == GradMode::accumulate});
}

}  // namespace

void relu_bias_backward(Stream& s, const ReluBiasGradArgs& a) {
  check_relu_bias(a);
  if (a.y.shape.numel() > 0) visit_float(a.y.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(s, a); });
}

}  // namespace telltale::cuda
