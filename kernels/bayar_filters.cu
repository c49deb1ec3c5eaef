#include "kernels/bayar_filters.h"
#include "kernels/device/launch.h"

namespace telltale {
namespace {

/// One index is one {R,R} part: its taps lie C apart.
struct Parts {
  int taps, channels;
  TT_HD int64_t first(int64_t i) const { return i / channels * taps * channels + i % channels; }
};

/// Sum over the taps off the centre, in their order.
template <class T>
TT_HD acc_t<T> sum_around(const T* part, const Parts& p) {
  acc_t<T> sum = 0;
  for (int tap = 0; tap < p.taps; ++tap)
    if (tap != p.taps / 2) sum += load(part[int64_t(tap) * p.channels]);
  return sum;
}

template <class T>
struct Project {
  Parts parts;
  const acc_t<T>* raw;
  T* w;
  acc_t<T> scale;
  TT_HD void operator()(int64_t i) const {
    const int64_t first = parts.first(i);
    const acc_t<T> lacking = (1 - sum_around(raw + first, parts)) / acc_t<T>(parts.taps - 1);
    for (int tap = 0; tap < parts.taps; ++tap) {
      const int64_t at = first + int64_t(tap) * parts.channels;
      w[at] = store<T>(scale * (tap == parts.taps / 2 ? acc_t<T>(-1) : raw[at] + lacking));
    }
  }
};

template <class T>
struct ProjectGradient {
  Parts parts;
  const T* dw;
  T* draw;
  acc_t<T> scale;
  bool accumulate;
  TT_HD void operator()(int64_t i) const {
    const int64_t first = parts.first(i);
    const acc_t<T> mean = sum_around(dw + first, parts) / acc_t<T>(parts.taps - 1);
    for (int tap = 0; tap < parts.taps; ++tap) {
      const int64_t at = first + int64_t(tap) * parts.channels;
      const acc_t<T> gradient = tap == parts.taps / 2 ? acc_t<T>(0) : scale * (load(dw[at]) - mean);
      draw[at] = store<T>(accumulate ? load(draw[at]) + gradient : gradient);
    }
  }
};

Parts parts_of(const char* name, const Tensor& a, const Tensor& b) {
  const Shape& s = a.shape;
  TT_CHECK(s == b.shape && s.h == s.w && s.h % 2 == 1 && s.h > 1, ShapeError, name, ": filters ", to_string(s), " and ",
           to_string(b.shape), ", expected {K,R,R,C} twice, R odd and above 1");
  return {int(s.h * s.w), int(s.c)};
}

}  // namespace

void bayar_filters(Stream& s, Tensor raw, Tensor w, float scale) {
  const Parts parts = parts_of("bayar_filters", raw, w);
  TT_CHECK(raw.dtype == accumulator_of(w.dtype), ShapeError, "bayar_filters: filters of ", name_of(w.dtype),
           " are made from ", name_of(accumulator_of(w.dtype)), ", not from ", name_of(raw.dtype));
  visit_float(w.dtype, [&]<class T>(Tag<T>) {
    for_each(s, int64_t(raw.shape.n) * parts.channels,
             Project<T>{parts, raw.as<const acc_t<T>>(), w.as<T>(), acc_t<T>(scale)});
  });
}

void bayar_filters_gradient(Stream& s, Tensor dw, Tensor draw, float scale, GradMode mode) {
  const Parts parts = parts_of("bayar_filters_gradient", dw, draw);
  TT_CHECK(dw.dtype == draw.dtype, ShapeError, "bayar_filters_gradient: ", name_of(dw.dtype), " and ",
           name_of(draw.dtype), " are not one type");
  if (mode == GradMode::ignore) return;
  visit_float(dw.dtype, [&]<class T>(Tag<T>) {
    for_each(s, int64_t(dw.shape.n) * parts.channels,
             ProjectGradient<T>{parts, dw.as<const T>(), draw.as<T>(), acc_t<T>(scale), mode == GradMode::accumulate});
  });
}

}  // namespace telltale
