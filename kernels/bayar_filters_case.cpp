// Bayar's constraint: by its definition in double, and its gradient as the transpose of the projection's linear part.
#include <cmath>

#include "kernels/bayar_filters.h"
#include "kernels/case/op_case.h"

namespace telltale {
namespace {

constexpr float kScale = 0.125f;

/// Half a unit in the last place of 1.
double rounding_of(DType type) {
  return std::ldexp(1.0, type == DType::bf16 ? -9 : type == DType::f16 ? -12 : type == DType::f32 ? -25 : -54);
}

/// f(part, tap) for every tap of every {R,R} part, part's taps in a vector.
template <class F>
std::vector<double> part_by_part(const Shape& shape, const std::vector<double>& values, F f) {
  const int taps = int(shape.h * shape.w), channels = int(shape.c);
  std::vector<double> out(values.size());
  for (int k = 0; k < shape.n; ++k)
    for (int c = 0; c < channels; ++c) {
      const auto at = [&](int tap) { return (size_t(k) * size_t(taps) + size_t(tap)) * size_t(channels) + size_t(c); };
      double sum = 0;
      for (int tap = 0; tap < taps; ++tap) sum += tap == taps / 2 ? 0 : values[at(tap)];
      for (int tap = 0; tap < taps; ++tap) out[at(tap)] = f(values[at(tap)], sum, taps, tap == taps / 2);
    }
  return out;
}

void projection(CaseRun& r, const Shape& shape) {
  const Tensor raw = r.input(shape, accumulator_of(r.dtype), -1, 1), w = r.output(shape);
  r.op(double(raw.bytes() + w.bytes()), 0, [&] { bayar_filters(r.stream, raw, w, kScale); });
  if (!r.is_test()) return;
  const auto definition = [](double v, double sum, int taps, bool centre) {
    return double(kScale) * (centre ? -1 : v + (1 - sum) / (taps - 1));
  };
  r.expect("w", w, part_by_part(shape, r.values(raw), definition), 2, 2);
  const std::vector<double> got = r.values(w);
  part_by_part(shape, got, [&](double v, double sum, int taps, bool centre) {
    const double allowed = 4 * taps * rounding_of(r.dtype);  // each tap is rounded, and none is larger than 2
    r.require("the centre is -1 and the others sum to 1",
              centre ? v == -double(kScale) : std::abs(sum - double(kScale)) <= allowed);
    return 0.0;
  });
}

void gradient(CaseRun& r, const Shape& shape, GradMode mode) {
  const Tensor dw = r.input(shape), draw = r.input(shape);
  const std::vector<double> before = r.values(draw);
  r.op(double(dw.bytes() + draw.bytes()), 0, [&] { bayar_filters_gradient(r.stream, dw, draw, kScale, mode); });
  if (!r.is_test()) return;
  std::vector<double> expected = part_by_part(shape, r.values(dw), [](double v, double sum, int taps, bool centre) {
    return centre ? 0 : double(kScale) * (v - sum / (taps - 1));
  });
  for (size_t i = 0; i < expected.size(); ++i) {
    if (mode == GradMode::ignore) expected[i] = before[i];
    if (mode == GradMode::accumulate) expected[i] += before[i];
  }
  r.expect("draw", draw, expected, 3, 2);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  for (const Shape& shape : {Shape{0, 5, 5, 3}, {1, 3, 3, 1}, {3, 5, 5, 3}, {7, 7, 7, 2}}) {
    to.push_back({"bayar_filters", to_string(shape), kAllFloats, [=](CaseRun& r) { projection(r, shape); }});
    for (const GradMode mode : {GradMode::ignore, GradMode::overwrite, GradMode::accumulate}) {
      const char* name = mode == GradMode::ignore ? " ignore" : mode == GradMode::overwrite ? "" : " accumulate";
      to.push_back({"bayar_filters_gradient", cat(to_string(shape), name), {DType::f32, DType::f64}, [=](CaseRun& r) {
                      gradient(r, shape, mode);
                    }});
    }
  }
});

}  // namespace
}  // namespace telltale
