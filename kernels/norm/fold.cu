#include <cmath>

#include "kernels/device/launch.h"
#include "kernels/norm/fold.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

template <class A>
struct Channels {
  const A *bias, *gamma, *beta, *mean, *var;
  double eps;
  TT_HD double scale(int64_t k) const { return double(gamma[k]) / sqrt(double(var[k]) + eps); }
};

/// A chunk of a filter to an index.
template <class T>
struct FoldFilters {
  using A = acc_t<T>;
  RowChunks chunks;  // a filter is a row
  Channels<A> channels;
  const A* w;
  T* y;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = chunks.at(i);
    const int64_t o = at.row * chunks.c + at.c;
    const double scale = channels.scale(at.row);
    Chunk<A> v = load_chunk(w + o, at.size, aligned);
    each_in_chunk([&](int k) { v[k] = A(double(v[k]) * scale); });
    store_chunk(y + o, v, at.size, aligned);
  }
};

template <class A>
struct FoldBias {
  Channels<A> channels;
  A* y;
  TT_HD void operator()(int64_t k) const {
    const double old = channels.bias ? double(channels.bias[k]) : 0;
    y[k] = A(double(channels.beta[k]) + (old - double(channels.mean[k])) * channels.scale(k));
  }
};

void check(const FoldNormArgs& a) {
  const Shape v{1, 1, 1, a.w.shape.n};
  TT_CHECK(a.to_w.shape == a.w.shape, ShapeError, "fold_norm: a filter ", to_string(a.w.shape), " folds to one of ",
           to_string(a.to_w.shape));
  TT_CHECK(a.w.dtype == accumulator_of(a.to_w.dtype), ShapeError, "fold_norm: a filter of ", name_of(a.to_w.dtype),
           " is folded from ", name_of(accumulator_of(a.to_w.dtype)), ", got ", name_of(a.w.dtype));
  for (const Tensor& t : {a.gamma, a.beta, a.mean, a.var, a.to_bias, a.bias ? a.bias : a.gamma})
    TT_CHECK(t.shape == v && t.dtype == a.w.dtype, ShapeError, "fold_norm: one number a filter is ", to_string(v),
             " of ", name_of(a.w.dtype), ", got ", to_string(t.shape), " of ", name_of(t.dtype));
}

}  // namespace

void fold_norm(Stream& s, const FoldNormArgs& a) {
  check(a);
  const int filters = a.w.shape.n;
  if (a.w.shape.numel() == 0) return;
  visit_float(a.to_w.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = acc_t<T>;
    const Channels<A> channels{a.bias.as<A>(), a.gamma.as<A>(), a.beta.as<A>(),
                               a.mean.as<A>(), a.var.as<A>(),   double(a.eps)};
    const RowChunks chunks(filters, int(a.w.shape.numel() / filters));
    const bool aligned = chunks.c % kChunk == 0 && all_aligned({a.w.data, a.to_w.data});
    for_each(s, chunks.count(), FoldFilters<T>{chunks, channels, a.w.as<A>(), a.to_w.as<T>(), aligned}, kChunk);
    for_each(s, filters, FoldBias<A>{channels, a.to_bias.as<A>()});
  });
}

}  // namespace telltale
