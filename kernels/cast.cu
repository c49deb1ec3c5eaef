// Changing type and layout over chunks.
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

/// A chunk of channels of one pixel: together in NHWC, a plane apart in NCHW.
template <class From, class To, bool kToNhwc>
struct Transpose {
  RowChunks chunks;
  int64_t plane;  // h·w
  const From* from;
  To* to;
  bool aligned;  // of the NHWC side
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const int64_t n = at.row / plane, nhwc = at.row * chunks.c + at.c,
                  nchw = (n * chunks.c + at.c) * plane + (at.row - n * plane);
    if constexpr (kToNhwc) {
      Chunk<acc_t<From>> v = chunk_of(acc_t<From>(0));
      each_in_chunk([&](int k) {
        if (k < at.size) v[k] = load(from[nchw + k * plane]);
      });
      store_chunk(to + nhwc, converted<To>(v), at.size, aligned);
    } else {
      const Chunk<acc_t<To>> v = converted<To>(load_chunk(from + nhwc, at.size, aligned));
      each_in_chunk([&](int k) {
        if (k < at.size) to[nchw + k * plane] = store<To>(v[k]);
      });
    }
  }
};

template <class F>
void visit_two(DType a, DType b, F&& f) {
  visit_float(a, [&](auto first) { visit_float(b, [&](auto second) { f(first, second); }); });
}

template <bool kToNhwc>
void transpose(Stream& s, const char* op, Tensor from, Tensor to) {
  TT_CHECK(from && to && from.shape == to.shape, ShapeError, op, ": ", to_string(from.shape), " does not fit ",
           to_string(to.shape));
  visit_two(from.dtype, to.dtype, [&](auto f, auto t) {
    using From = typename decltype(f)::type;
    using To = typename decltype(t)::type;
    const Shape shape = from.shape;
    const RowChunks chunks(shape.rows(), shape.c);
    const bool aligned = shape.c % kChunk == 0 && all_aligned({kToNhwc ? to.data : from.data});
    for_each(s, chunks.count(),
             Transpose<From, To, kToNhwc>{chunks, int64_t(shape.h) * shape.w, from.as<From>(), to.as<To>(), aligned});
  });
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

void nchw_to_nhwc(Stream& s, Tensor from, Tensor to) { transpose<true>(s, "nchw_to_nhwc", from, to); }
void nhwc_to_nchw(Stream& s, Tensor from, Tensor to) { transpose<false>(s, "nhwc_to_nchw", from, to); }

}  // namespace telltale
