// Changing type over chunks.
#include "kernels/cast.h"
#include "kernels/device/launch.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

template <class To, class A>
TT_HD Chunk<acc_t<To>> converted(const Chunk<A>& v) {
  Chunk<acc_t<To>> out;
  each_in_chunk([&](int k) { out[k] = acc_t<To>(v[k]); });
  return out;
}

template <class From, class To>
struct Cast {
  FlatChunks chunks;
  const From* from;
  To* to;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    store_chunk(to + o, converted<To>(load_chunk(from + o, n, aligned)), n, aligned);
  }
};

template <class F>
void visit_two(DType a, DType b, F&& f) {
  visit_float(a, [&](auto first) { visit_float(b, [&](auto second) { f(first, second); }); });
}

}  // namespace

void cast(Stream& s, Tensor from, Tensor to) {
  TT_CHECK(from && to && from.shape.numel() == to.shape.numel(), ShapeError, "cast: ", to_string(from.shape),
           " does not fit ", to_string(to.shape));
  visit_two(from.dtype, to.dtype, [&](auto f, auto t) {
    using From = typename decltype(f)::type;
    using To = typename decltype(t)::type;
    const FlatChunks chunks{from.shape.numel()};
    for_each(s, chunks.count(),
             Cast<From, To>{chunks, from.as<From>(), to.as<To>(), all_aligned({from.data, to.data})});
  });
}

}  // namespace telltale
