#include "kernels/device/launch.h"
#include "kernels/ranked_statistics.h"

namespace telltale {
namespace {

template <class T>
struct Collect {
  const T* from;
  const int32_t* places;
  T* to;
  TT_HD void operator()(int64_t i) const { to[i] = from[places[i]]; }
};

template <class T>
struct CombineStatistics {
  const T *reached, *before;
  const double* kept;
  const int32_t* places;
  T* to;
  int64_t n;
  int active;
  TT_HD void operator()(int64_t i) const {
    const double start = before[i];
    double value = start;
    for (int r = 0; r < active; ++r) value = reached[r * n + i] + kept[i] * (value - start);
    to[places[i]] = T(value);
  }
};

template <class F>
void visit_wide(DType t, F&& f) {
  TT_CHECK(t == DType::f32 || t == DType::f64, ShapeError, "statistics are f32 or f64, not ", name_of(t));
  t == DType::f64 ? f(Tag<double>{}) : f(Tag<float>{});
}

}  // namespace

void collect(Stream& s, Tensor from, Tensor places, Tensor to) {
  const int64_t n = to.shape.numel();
  TT_CHECK(places.shape.numel() == n && places.dtype == DType::i32 && from.dtype == to.dtype, ShapeError,
           "collect: ", to_string(places.shape), " places do not fit ", to_string(to.shape));
  visit_wide(to.dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    for_each(s, n, Collect<T>{from.as<const T>(), places.as<const int32_t>(), to.as<T>()});
  });
}

void combine_statistics(Stream& s, Tensor reached, int active, Tensor before, Tensor kept, Tensor places, Tensor to) {
  const int64_t n = before.shape.numel();
  TT_CHECK(active <= reached.shape.n && reached.shape.numel() == n * reached.shape.n && kept.shape.numel() == n &&
               kept.dtype == DType::f64 && places.shape.numel() == n && places.dtype == DType::i32 &&
               reached.dtype == to.dtype && before.dtype == to.dtype,
           ShapeError, "combine_statistics: ", to_string(reached.shape), " does not fit ", to_string(before.shape));
  visit_wide(to.dtype, [&](auto t) {
    using T = typename decltype(t)::type;
    for_each(s, n,
             CombineStatistics<T>{reached.as<const T>(), before.as<const T>(), kept.as<const double>(),
                                  places.as<const int32_t>(), to.as<T>(), n, active},
             4 + active);
  });
}

}  // namespace telltale
