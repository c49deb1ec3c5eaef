// Convolutions behind a batch norm against their definition in double, and the per-channel steps between the two.
#include <algorithm>
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/conv/norm.h"
#include "kernels/device/half.h"

namespace telltale {
namespace {

using Vec = std::vector<double>;

struct Setting {
  Shape x;
  int out, size;
  ConvGeometry geometry = {};
  bool norm = true, sums = true;
  GradMode mode = GradMode::overwrite;
  Shape filter() const { return {out, size, size, x.c}; }
  Shape y() const { return conv_output(x, filter(), geometry); }
  double flops() const { return 2.0 * double(y().numel()) * size * size * x.c; }
  std::string name() const {
    return cat(to_string(x), "x", to_string(filter()), " s", geometry.stride, "p", geometry.pad, norm ? " norm" : "",
               sums ? " sums" : "", mode == GradMode::accumulate ? " accumulate" : "");
  }
};

/// Calls f(index in x, index in w, index in y) for every product the convolution sums.
template <class F>
void for_each_product(const Setting& z, const F& f) {
  const Shape x = z.x, w = z.filter(), y = z.y();
  const auto at = [](const Shape& s, int n, int h, int v, int c) {
    return size_t(((int64_t(n) * s.h + h) * s.w + v) * s.c + c);
  };
  for (int64_t o = 0; o < y.numel(); ++o) {
    const int k = int(o % y.c), v = int(o / y.c % y.w), h = int(o / y.c / y.w % y.h), n = int(o / y.c / y.w / y.h);
    for (int r = 0; r < w.h; ++r) {
      for (int s = 0; s < w.w; ++s) {
        const int row = h * z.geometry.stride + r - z.geometry.pad, column = v * z.geometry.stride + s - z.geometry.pad;
        if (row < 0 || column < 0 || row >= x.h || column >= x.w) continue;
        for (int c = 0; c < w.c; ++c) f(at(x, n, row, column, c), at(w, k, r, s, c), size_t(o));
      }
    }
  }
}

/// As a tensor of the run's type holds them.
Vec rounded(CaseRun& run, Shape shape, const Vec& v) { return run.values(run.from(shape, run.dtype, v)); }

bool is_16_bit(const CaseRun& run) { return size_of(run.dtype) == 2; }

/// On a GPU in f16 the norm may run inside the convolution, where x·scale + shift may round in halves once more.
bool may_be_fused(const CaseRun& run) { return run.stream.is_cuda() && run.dtype == DType::f16; }

/// f32 ulps in two ulps of the run's 16-bit type.
double ulps_of_halves(const CaseRun& run) { return run.dtype == DType::bf16 ? 131072 : 16384; }

double largest(const Vec& v) {
  double m = 0;
  for (double e : v) m = std::max(m, std::abs(e));
  return m;
}

BatchNormArgs norm_of(CaseRun& run, const Tensor& x) {
  const DType acc = accumulator_of(run.dtype);
  const Shape v{1, 1, 1, x.shape.c};
  BatchNormArgs n;
  n.x = n.y = x;
  n.gamma = run.input(v, acc, 0.5, 1.5);
  n.beta = run.input(v, acc, -0.5, 0.5);
  n.mean = run.output(v, acc);
  n.rstd = run.output(v, acc);
  n.running_mean = run.input(v, acc, -0.5, 0.5);
  n.running_var = run.input(v, acc, 0.5, 1.5);
  n.batches = run.from({1, 1, 1, 1}, acc, {41});
  return n;
}

ChannelNorm known(const BatchNormArgs& n) { return {n.mean, n.rstd, n.gamma, n.beta}; }

/// relu(norm(x)), in f16 by scale and shift in halves, which are computed in f32.
Vec normalised(CaseRun& run, const Setting& z, const Vec& x, const ChannelNorm& n) {
  const Vec mean = run.values(n.mean), rstd = run.values(n.rstd), gamma = run.values(n.gamma),
            beta = run.values(n.beta);
  Vec y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i % gamma.size();
    const auto scale = float(gamma[c]) * float(rstd[c]), shift = float(beta[c]) - float(mean[c]) * scale;
    y[i] = std::max(0.0, run.dtype == DType::f16 ? x[i] * double(float(f16(scale))) + double(float(f16(shift)))
                                                 : (x[i] - mean[c]) * rstd[c] * gamma[c] + beta[c]);
  }
  return rounded(run, z.x, y);
}

void forward(CaseRun& run, const Setting& z) {
  ConvNormArgs a{.x = run.input(z.x), .geometry = z.geometry};
  const BatchNormArgs n = norm_of(run, a.x);
  if (z.norm) {
    batchnorm_statistics(run.stream, n);
    a.norm = known(n);
    a.normalised = run.output(z.x);
  }
  a.w = run.input(z.filter());
  a.y = run.output(z.y());
  if (z.sums) a.sums = run.output({1, 1, 2, z.out}, accumulator_of(run.dtype));
  bool summed = false;
  run.op(double(a.x.bytes() + a.w.bytes() + a.y.bytes()), z.flops(),
         [&] { summed = conv_norm_forward(run.stream, a); });
  if (!run.is_test()) return;

  Vec x = run.values(a.x), w = run.values(a.w), y(size_t(z.y().numel()), 0);
  if (z.norm) x = normalised(run, z, x, a.norm);
  for_each_product(z, [&](size_t i, size_t j, size_t o) { y[o] += x[i] * w[j]; });
  // conv_case.cpp's bound, for operands up to three and with three roundings of their own.
  const double terms = double(z.size) * z.size * z.x.c, exact = 8 + 8 * std::sqrt(terms);
  run.expect("y", a.y, y, !is_16_bit(run) ? exact : may_be_fused(run) ? 8 : 1, std::max(1.0, std::sqrt(terms)));
  run.require("sums only where asked for", z.sums || !summed);
  if (!summed) return;
  const Vec got = run.values(a.y);
  Vec sums(2 * size_t(z.out), 0);
  for (size_t i = 0; i < got.size(); ++i) {
    const size_t c = i % size_t(z.out);
    sums[c] += got[i];
    sums[c + size_t(z.out)] += got[i] * got[i];
  }
  // A fused sum may be of values that were not yet rounded to halves, added up in f32.
  const double rows = double(z.y().rows()), top = std::max(1.0, largest(got));
  run.expect("sums", a.sums, sums, may_be_fused(run) ? ulps_of_halves(run) : 4, std::sqrt(rows) * top * top);
}

void backward(CaseRun& run, const Setting& z) {
  const DType acc = accumulator_of(run.dtype);
  const Shape v{1, 1, 1, z.x.c};
  ConvNormGradArgs g{.x = run.input(z.x), .geometry = z.geometry, .dw_mode = z.mode};
  const BatchNormArgs n = norm_of(run, g.x);
  batchnorm_statistics(run.stream, n);
  g.norm = known(n);
  g.w = run.input(z.filter());
  g.dy = run.input(z.y());
  const auto gradient = [&](Shape shape) {
    return z.mode == GradMode::overwrite ? run.output(shape, acc) : run.input(shape, acc, -1, 1);
  };
  g.dx = run.output(z.x);
  g.dw = gradient(z.filter());
  g.dgamma = gradient(v);
  g.dbeta = gradient(v);
  const bool adds = run.is_test() && z.mode == GradMode::accumulate;
  const Vec dw0 = adds ? run.values(g.dw) : Vec(), dgamma0 = adds ? run.values(g.dgamma) : Vec(),
            dbeta0 = adds ? run.values(g.dbeta) : Vec();
  run.op(double(3 * g.x.bytes() + 2 * g.dy.bytes() + 2 * g.dx.bytes() + g.w.bytes() + g.dw.bytes()), 2 * z.flops(),
         [&] { conv_norm_backward(run.stream, g); });
  if (!run.is_test()) return;

  const Vec x = run.values(g.x), w = run.values(g.w), dy = run.values(g.dy), between = normalised(run, z, x, g.norm);
  const Vec mean = run.values(n.mean), rstd = run.values(n.rstd), gamma = run.values(n.gamma),
            beta = run.values(n.beta);
  Vec dbetween(x.size(), 0), dw(w.size(), 0), dgamma(gamma.size(), 0), dbeta(gamma.size(), 0), dx(x.size());
  for_each_product(z, [&](size_t i, size_t j, size_t o) {
    dbetween[i] += dy[o] * w[j];
    dw[j] += dy[o] * between[i];
  });
  dbetween = rounded(run, z.x, dbetween);
  const double rows = double(z.x.rows());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i % gamma.size();
    // ReLU's gradient is that of the norm in f32 in every type.
    if (!((x[i] - mean[c]) * rstd[c] * gamma[c] + beta[c] > 0)) dbetween[i] = 0;
    dbeta[c] += dbetween[i];
    dgamma[c] += dbetween[i] * (x[i] - mean[c]) * rstd[c];
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i % gamma.size();
    dx[i] = gamma[c] * rstd[c] * (dbetween[i] - (dbeta[c] + (x[i] - mean[c]) * rstd[c] * dgamma[c]) / rows);
  }
  const auto expect = [&](const char* name, const Tensor& got, Vec want, const Vec& before, double ulps) {
    for (size_t i = 0; i < before.size(); ++i) want[i] += before[i];
    run.expect(name, got, want, ulps, std::max(1.0, largest(want)));
  };
  const double terms = double(z.size) * z.size * z.out;
  expect("dx", g.dx, dx, {}, !is_16_bit(run) ? 32 + 8 * std::sqrt(terms) : may_be_fused(run) ? 16 : 4);
  const double sums = is_16_bit(run) ? ulps_of_halves(run) : 32 + 8 * std::sqrt(double(z.y().rows()) + rows);
  expect("dw", g.dw, dw, dw0, sums);
  expect("dgamma", g.dgamma, dgamma, dgamma0, sums);
  expect("dbeta", g.dbeta, dbeta, dbeta0, sums);
  if (adds || !run.is_f64()) return;
  ConvNormArgs f{.x = g.x,
                 .norm = g.norm,
                 .w = g.w,
                 .y = run.output(z.y()),
                 .normalised = run.output(z.x),
                 .geometry = z.geometry};
  const auto again = [&] {
    batchnorm_statistics(run.stream, n);
    conv_norm_forward(run.stream, f);
  };
  run.gradient("dx", g.x, g.dx, f.y, g.dy, again);
  run.gradient("dw", g.w, g.dw, f.y, g.dy, again);
  run.gradient("dgamma", n.gamma, g.dgamma, f.y, g.dy, again);
  run.gradient("dbeta", n.beta, g.dbeta, f.y, g.dy, again);
}

/// Statistics from sums, as from x itself.
void statistics(CaseRun& run, const Shape& shape, double centre) {
  BatchNormArgs a = norm_of(run, run.input(shape, centre - 1, centre + 1)), b = a;
  const Shape v{1, 1, 1, shape.c};
  const DType acc = accumulator_of(run.dtype);
  b.mean = run.output(v, acc);
  b.rstd = run.output(v, acc);
  b.running_mean = run.from(v, acc, run.values(a.running_mean));
  b.running_var = run.from(v, acc, run.values(a.running_var));
  b.batches = run.from({1, 1, 1, 1}, acc, {41});
  const Tensor sums = run.output({1, 1, 2, shape.c}, acc);
  channel_sums(run.stream, a.x, sums);
  batchnorm_statistics(run.stream, a);
  run.op(double(sums.bytes()), 0, [&] { batchnorm_statistics_of(run.stream, b, sums); });
  if (!run.is_test()) return;
  // Sums lose the digits that mean² has before the variance, and what many terms round off.
  const double lost = (1 + 4 * (centre + 1) * (centre + 1)) * (1 + std::sqrt(double(shape.rows())) / 8);
  run.expect("mean", b.mean, run.values(a.mean), 8 + std::sqrt(double(shape.rows())), centre + 1);
  run.expect("rstd", b.rstd, run.values(a.rstd), 32 * lost, largest(run.values(a.rstd)));
  run.expect("running_mean", b.running_mean, run.values(a.running_mean), 8, centre + 1);
  run.expect("running_var", b.running_var, run.values(a.running_var), 16 * lost);
  run.expect("batches", b.batches, {42}, 0);
  // A variance a little below 0, as rounding may leave it, is none.
  Vec none(2 * size_t(shape.c), double(shape.rows()));
  for (size_t c = size_t(shape.c); c < none.size(); ++c) none[c] *= 1 - 1e-6;
  run.assign(sums, none);
  batchnorm_statistics_of(run.stream, b, sums);
  run.expect("rstd of no variance", b.rstd, Vec(size_t(shape.c), 1 / std::sqrt(double(b.eps))), 8, 300);
}

/// The norm's input gradient from sums, as batchnorm_backward has it.
void input_gradient(CaseRun& run, const Shape& shape) {
  const DType acc = accumulator_of(run.dtype);
  const Shape v{1, 1, 1, shape.c};
  ConvNormGradArgs a{.x = run.input(shape), .dw_mode = GradMode::accumulate};
  const BatchNormArgs n = norm_of(run, a.x);
  batchnorm_statistics(run.stream, n);
  a.norm = known(n);
  a.dx = run.input(shape);
  a.dgamma = run.input(v, acc, -1, 1);
  a.dbeta = run.input(v, acc, -1, 1);
  BatchNormGradArgs b;
  b.x = a.x;
  b.dy = run.from(shape, run.dtype, run.values(a.dx));
  b.gamma = n.gamma;
  b.mean = n.mean;
  b.rstd = n.rstd;
  b.dx = run.output(shape);
  b.dgamma = run.from(v, acc, run.values(a.dgamma));
  b.dbeta = run.from(v, acc, run.values(a.dbeta));
  b.dw_mode = GradMode::accumulate;
  batchnorm_backward(run.stream, b);
  const Vec g = run.values(a.dx), x = run.values(a.x), mean = run.values(n.mean), rstd = run.values(n.rstd);
  Vec sums(2 * size_t(shape.c), 0);
  for (size_t i = 0; i < g.size(); ++i) {
    const size_t c = i % size_t(shape.c);
    sums[c] += g[i] * (x[i] - mean[c]) * rstd[c];
    sums[c + size_t(shape.c)] += g[i];
  }
  const Tensor given = run.from({1, 1, 2, shape.c}, acc, sums);
  run.op(3.0 * double(a.x.bytes()), 6.0 * double(shape.numel()), [&] { norm_input_gradient(run.stream, a, given); });
  if (!run.is_test()) return;
  const double ulps = 16 + 2 * std::sqrt(double(shape.rows()));
  run.expect("dx", a.dx, run.values(b.dx), is_16_bit(run) ? 1 : ulps, 2 * 1.5 * largest(rstd));
  run.expect("dgamma", a.dgamma, run.values(b.dgamma), ulps, std::max(1.0, largest(sums)));
  run.expect("dbeta", a.dbeta, run.values(b.dbeta), ulps, std::max(1.0, largest(sums)));
  const Tensor scale = run.output(v), shift = run.output(v);
  norm_as_scale(run.stream, a.norm, scale, shift);
  const Vec gamma = run.values(n.gamma), beta = run.values(n.beta);
  Vec k(gamma.size()), b0(gamma.size());
  for (size_t c = 0; c < k.size(); ++c) {
    k[c] = gamma[c] * rstd[c];
    b0[c] = beta[c] - mean[c] * k[c];
  }
  run.expect("scale", scale, k, 2);
  run.expect("shift", shift, b0, 4);
}

/// Scale and shift where halves do not reach: no deviation, and a mean far off.
void beyond_halves(CaseRun& run) {
  const Shape v{1, 1, 1, 5};
  const DType acc = accumulator_of(run.dtype);
  const Vec mean = {0, 3, -3e4, 3e4, 1}, rstd = {300, 300, 300, 1, 1}, gamma = {1e3, -1e3, 1, -8, 2};
  const ChannelNorm norm{run.from(v, acc, mean), run.from(v, acc, rstd), run.from(v, acc, gamma),
                         run.from(v, acc, Vec(5, 0.5))};
  const Tensor scale = run.output(v), shift = run.output(v);
  run.op(0, 0, [&] { norm_as_scale(run.stream, norm, scale, shift); });
  const double most = run.dtype == DType::f16 ? 65504 : 3e38;
  Vec k(5), b(5);
  for (size_t c = 0; c < 5; ++c) {
    k[c] = std::clamp(gamma[c] * rstd[c], -most, most);
    b[c] = std::clamp(0.5 - mean[c] * k[c], -most, most);
  }
  run.expect("scale", scale, k, 2);
  run.expect("shift", shift, b, 4);
  // Finite numbers give finite ones.
  if (run.dtype != DType::f16) return;
  const Tensor x = run.from({1, 1, 1, 5}, run.dtype, {0, 1, -1, 0.5, 0}), y = run.output({1, 1, 1, 5});
  norm_in_halves(run.stream, x, norm, y);
  Vec of_y(5);
  const Vec in = run.values(x);
  for (size_t c = 0; c < 5; ++c) of_y[c] = std::max(0.0, in[c] * k[c] + b[c]);
  run.expect("y", y, of_y, 2);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const auto add = [&](const char* op, const std::string& size, std::function<void(CaseRun&)> f) {
    to.push_back({op, size, kAllFloats, std::move(f)});
  };
  const Setting settings[] = {{{2, 5, 7, 3}, 5, 3, {1, 1, 1}},     {{3, 7, 5, 16}, 8, 1, {}},
                              {{2, 9, 8, 16}, 24, 3, {2, 1, 1}},   {{1, 6, 5, 17}, 9, 1, {2, 0, 1}},
                              {{4, 12, 12, 64}, 64, 3, {1, 1, 1}}, {{2, 8, 8, 64}, 256, 1, {}}};
  for (const Setting& z : settings) {
    for (const bool norm : {true, false}) {
      for (const bool sums : {true, false}) {
        Setting f = z;
        f.norm = norm;
        f.sums = sums;
        add("conv_norm_forward", f.name(), [=](CaseRun& run) { forward(run, f); });
      }
    }
    for (const GradMode mode : {GradMode::overwrite, GradMode::accumulate}) {
      Setting b = z;
      b.sums = false;
      b.mode = mode;
      add("conv_norm_backward", b.name(), [=](CaseRun& run) { backward(run, b); });
    }
  }
  for (const Shape& x : {Shape{1, 2, 3, 4}, Shape{2, 5, 7, 3}, Shape{4, 33, 35, 24}}) {
    for (const double centre : {0.0, 4.0}) {
      add("norm_statistics_of_sums", cat(to_string(x), " around ", centre),
          [=](CaseRun& run) { statistics(run, x, centre); });
    }
    add("norm_input_gradient", to_string(x), [=](CaseRun& run) { input_gradient(run, x); });
  }
  add("norm_as_scale", "beyond halves", beyond_halves);
  // As ResNet50's first blocks run them.
  for (const Setting& z : {Setting{{8, 64, 64, 64}, 64, 3, {1, 1, 1}}, Setting{{8, 64, 64, 64}, 256, 1, {}},
                           Setting{{8, 32, 32, 128}, 128, 3, {1, 1, 1}}}) {
    const auto bench = [&](const char* op, void (*f)(CaseRun&, const Setting&)) {
      to.push_back({op,
                    z.name(),
                    {DType::f16},
                    [=](CaseRun& run) {
                      Setting large = z;
                      large.x = run.batched(z.x, 512);
                      f(run, large);
                    },
                    true,
                    false});
    };
    bench("conv_norm_forward", forward);
    bench("conv_norm_backward", backward);
  }
});

}  // namespace
}  // namespace telltale
