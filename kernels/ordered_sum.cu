#include "kernels/device/launch.h"
#include "kernels/ordered_sum.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

template <class T>
struct OrderedSum {
  FlatChunks chunks;
  const T* parts;
  acc_t<T>* total;
  int64_t n;
  int count;
  bool add, aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int size = chunks.size(i);
    Chunk<acc_t<T>> sum = add ? load_chunk(total + o, size, aligned) : load_chunk(parts + o, size, aligned);
    for (int k = add ? 0 : 1; k < count; ++k) {
      const Chunk<acc_t<T>> part = load_chunk(parts + k * n + o, size, aligned);
      each_in_chunk([&](int j) { sum[j] += part[j]; });
    }
    store_chunk(total + o, sum, size, aligned);
  }
};

}  // namespace

void ordered_sum(Stream& s, Tensor parts, Tensor total, bool add) {
  const int64_t n = total.shape.numel();
  TT_CHECK(parts.shape.n >= 1 && parts.shape.numel() == n * parts.shape.n && total.dtype == accumulator_of(parts.dtype),
           ShapeError, "ordered_sum: ", to_string(parts.shape), " does not fit ", to_string(total.shape));
  visit_float(parts.dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    const FlatChunks chunks{n};
    const bool aligned = all_aligned({parts.data, total.data}) && n * int64_t(sizeof(T)) % 16 == 0;
    for_each(s, chunks.count(),
             OrderedSum<T>{chunks, parts.as<T>(), total.as<acc_t<T>>(), n, parts.shape.n, add, aligned},
             int64_t(kChunk) * (parts.shape.n + 1));
  });
}

}  // namespace telltale
