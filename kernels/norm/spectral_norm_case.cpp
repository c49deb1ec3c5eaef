// Spectral norm against its formula in double, with and without a power iteration.
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/norm/spectral_norm.h"

namespace telltale {
namespace {

using Numbers = std::vector<double>;

void normalise(Numbers& v) {
  double sum = 0;
  for (double x : v) sum += x * x;
  const double length = std::max(std::sqrt(sum), 1e-12);
  for (double& x : v) x /= length;
}

/// Filter and unit vectors in the accumulator type.
struct Operands {
  DType type;
  Tensor w, u, v, sigma;
  Operands(CaseRun& run, Shape shape) : type(accumulator_of(run.dtype)) {
    w = run.input(shape, type, -1, 1);
    u = unit(run, {1, 1, 1, shape.n});
    v = unit(run, {1, shape.h, shape.w, shape.c});
    sigma = run.output({1, 1, 1, 1}, type);
  }
  Tensor unit(CaseRun& run, Shape shape) const {
    Numbers x(size_t(shape.numel()));
    for (double& e : x) e = run.random.uniform(-1, 1);
    normalise(x);
    return run.from(shape, type, x);
  }
};

void forward(CaseRun& run, Shape shape, bool iterate) {
  const Operands o(run, shape);
  const SpectralNormArgs a{.w = o.w, .u = o.u, .v = o.v, .sigma = o.sigma, .y = run.output(shape), .iterate = iterate};
  const size_t rows = size_t(shape.n), columns = size_t(shape.numel()) / rows;
  const Numbers w = run.values(o.w);
  Numbers u = run.values(o.u), v = run.values(o.v);
  run.op(double(3 * a.w.bytes()), 4.0 * double(shape.numel()), [&] { spectral_norm_forward(run.stream, a); });
  if (!run.is_test()) return;
  if (iterate) {
    v.assign(columns, 0);
    for (size_t i = 0; i < w.size(); ++i) v[i % columns] += u[i / columns] * w[i];
    normalise(v);
  }
  Numbers applied(rows, 0);
  for (size_t i = 0; i < w.size(); ++i) applied[i / columns] += w[i] * v[i % columns];
  if (iterate) {
    u = applied;
    normalise(u);
  }
  double sigma = 0;
  for (size_t k = 0; k < rows; ++k) sigma += u[k] * applied[k];
  Numbers y(w.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = w[i] / sigma;
  // Sums of `columns` terms, each rounded: √columns ulps of the accumulator; quotients of two such sums, twice that.
  const double ulps = 4 + 2 * std::sqrt(double(std::max(rows, columns)));
  run.expect("v", a.v, v, ulps);
  run.expect("u", a.u, u, ulps);
  // Without an iteration σ is a sum of numbers of either sign, which may cancel: its error is that of its terms.
  run.expect("sigma", a.sigma, {sigma}, ulps, std::sqrt(double(columns)));
  const bool wide = run.dtype == o.type;
  const double share = iterate ? 1 : std::max(1.0, std::sqrt(double(columns)) / std::abs(sigma));
  run.expect("y", a.y, y, wide ? ulps * share : 1 + share * ulps / 64, std::max(1.0, 1 / std::abs(sigma)));
}

void backward(CaseRun& run, Shape shape, GradMode mode) {
  const Operands o(run, shape);
  SpectralNormArgs f{.w = o.w, .u = o.u, .v = o.v, .sigma = o.sigma, .y = run.output(shape), .iterate = true};
  spectral_norm_forward(run.stream, f);
  run.stream.sync();
  const bool adds = mode == GradMode::accumulate;
  const SpectralNormGradArgs a{.w = o.w,
                               .u = o.u,
                               .v = o.v,
                               .sigma = o.sigma,
                               .dy = run.input(shape, o.type, -1, 1),
                               .dw = adds ? run.input(shape, o.type, -1, 1) : run.output(shape, o.type),
                               .dw_mode = mode};
  const Numbers before = run.is_test() ? run.values(a.dw) : Numbers();
  run.op(double(4 * a.w.bytes()), 5.0 * double(shape.numel()), [&] { spectral_norm_backward(run.stream, a); });
  if (!run.is_test()) return;
  const Numbers w = run.values(o.w), u = run.values(o.u), v = run.values(o.v), dy = run.values(a.dy);
  const double sigma = run.values(o.sigma)[0];
  double inner = 0;
  for (size_t i = 0; i < w.size(); ++i) inner += w[i] * dy[i] / sigma;
  Numbers dw(w.size());
  for (size_t i = 0; i < w.size(); ++i) {
    dw[i] = (dy[i] - inner * u[i / v.size()] * v[i % v.size()]) / sigma;
    if (adds) dw[i] += before[i];
  }
  run.expect("dw", a.dw, dw, 8 + std::sqrt(double(w.size())) / 4, 1 + 1 / sigma);
  if (adds) return;
  f.iterate = false;
  run.gradient("dw", a.w, a.dw, f.y, a.dy, [&] { spectral_norm_forward(run.stream, f); });
}

const RegisterCases registered([](std::vector<OpCase>& to) {
  const std::vector<DType> wide = {DType::f32, DType::f64};
  for (const Shape& w : {Shape{1, 1, 1, 1}, Shape{3, 1, 1, 5}, Shape{8, 5, 5, 4}, Shape{7, 3, 3, 11},
                         Shape{300, 1, 1, 3}, Shape{2, 5, 5, 61}}) {
    for (const bool iterate : {true, false}) {
      to.push_back({"spectral_norm_forward", to_string(w) + (iterate ? "" : " as it is"), kAllFloats,
                    [=](CaseRun& run) { forward(run, w, iterate); }});
    }
    for (const GradMode mode : {GradMode::overwrite, GradMode::accumulate}) {
      to.push_back({"spectral_norm_backward", to_string(w) + (mode == GradMode::accumulate ? " accumulate" : ""), wide,
                    [=](CaseRun& run) { backward(run, w, mode); }});
    }
  }
  const Shape large{256, 5, 5, 256};  // the adversary's widest
  to.push_back({"spectral_norm_forward",
                to_string(large),
                {DType::f32},
                [=](CaseRun& run) { forward(run, large, true); },
                true,
                false});
  to.push_back({"spectral_norm_backward",
                to_string(large),
                {DType::f32},
                [=](CaseRun& run) { backward(run, large, GradMode::overwrite); },
                true,
                false});
});

}  // namespace
}  // namespace telltale
