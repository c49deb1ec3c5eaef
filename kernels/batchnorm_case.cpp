// Batch normalisation against its definition in double, in training and frozen form, with every gradient mode.
#include <cmath>

#include "kernels/batchnorm.h"
#include "kernels/core/op_case.h"

namespace telltale {
namespace {

struct Setting {
  Shape x;
  bool relu = false, residual = false, frozen = false;
  bool packed = false;  ///< relu's mask as bits
  double centre = 0;    ///< of x, which spreads by 1 to both sides
  GradMode mode = GradMode::overwrite;
  std::string name() const {
    static const char* const modes[] = {" ignore", "", " accumulate"};
    return cat(to_string(x), relu ? " relu" : "", residual ? " residual" : "", frozen ? " frozen" : "",
               packed ? " packed mask" : "", centre != 0 ? cat(" around ", centre) : "", modes[int(mode)]);
  }
};

using Vec = std::vector<double>;

/// Per-channel sums in long double, so that in f64 the reference is the better one.
template <class F>
Vec channel_sums(size_t count, size_t channels, const F& term) {
  std::vector<long double> sum(channels, 0);
  for (size_t i = 0; i < count; ++i) sum[i % channels] += term(i);
  return {sum.begin(), sum.end()};
}

/// Per-channel mean and biased variance, by definition.
void statistics(const Vec& x, size_t channels, Vec& mean, Vec& variance) {
  const long double rows = (long double)(x.size() / channels);
  mean = channel_sums(x.size(), channels, [&](size_t i) { return x[i] / rows; });
  variance = channel_sums(x.size(), channels, [&](size_t i) {
    const long double d = (long double)(x[i]) - mean[i % channels];
    return d * d / rows;
  });
}

BatchNormArgs arguments(CaseRun& run, const Setting& z) {
  const DType acc = accumulator_of(run.dtype);
  const Shape v{1, 1, 1, z.x.c};
  BatchNormArgs a;
  a.x = run.input(z.x, z.centre - 1, z.centre + 1);
  if (z.residual) a.residual = run.input(z.x);
  a.gamma = run.input(v, acc, 0.5, 1.5);
  a.beta = run.input(v, acc, -0.5, 0.5);
  a.running_mean = run.input(v, acc, z.centre - 0.5, z.centre + 0.5);
  a.running_var = run.input(v, acc, 0.5, 1.5);
  a.mean = run.output(v, acc);
  a.rstd = run.output(v, acc);
  a.batches = run.from({1, 1, 1, 1}, acc, {41});
  a.y = run.output(z.x);
  a.act = z.relu ? Act::relu : Act::none;
  if (z.packed) a.passed = run.output(passed_shape(z.x), DType::u8);
  return a;
}

void run_forward(CaseRun& run, const Setting& z, const BatchNormArgs& a) {
  z.frozen ? batchnorm_frozen(run.stream, a) : batchnorm_forward(run.stream, a);
}

double largest(const Vec& v) {
  double m = 0;
  for (double e : v) m = std::max(m, std::abs(e));
  return m;
}

/// A handful of roundings, each of half an ulp; in 16 bits the last one is all that shows.
double ulps(DType t) { return size_of(t) == 2 ? 1 : 12; }

Vec normalised(const Setting& z, const Vec& x, const Vec& mean, const Vec& rstd, const Vec& gamma, const Vec& beta,
               const Vec& residual) {
  const size_t channels = size_t(z.x.c);
  Vec y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i % channels;
    y[i] = (x[i] - mean[c]) * rstd[c] * gamma[c] + beta[c] + (z.residual ? residual[i] : 0);
    if (z.relu && y[i] < 0) y[i] = 0;
  }
  return y;
}

/// A byte for eight channels of a row: which of them relu let through.
Vec packed_mask(const Vec& y, size_t channels) {
  Vec bytes;
  for (size_t row = 0; row < y.size(); row += channels) {
    for (size_t c = 0; c < channels; ++c) {
      if (c % 8 == 0) bytes.push_back(0);
      if (y[row + c] > 0) bytes.back() += double(1 << c % 8);
    }
  }
  return bytes;
}

void forward(CaseRun& run, const Setting& z) {
  BatchNormArgs a = arguments(run, z);
  const Vec old_mean = run.is_test() ? run.values(a.running_mean) : Vec(),
            old_var = run.is_test() ? run.values(a.running_var) : Vec();
  const double passes = (z.frozen ? 2 : 3) + (z.residual ? 1 : 0);
  run.op(passes * double(a.x.bytes()) + double(a.passed.bytes()), 8.0 * double(z.x.numel()),
         [&] { run_forward(run, z, a); });
  if (!run.is_test()) return;

  const size_t channels = size_t(z.x.c);
  const double rows = double(z.x.rows()), m = double(a.momentum);
  const Vec x = run.values(a.x);
  Vec mean, variance;
  statistics(x, channels, mean, variance);
  Vec running_mean = old_mean, running_var = old_var;
  for (size_t c = 0; c < channels && !z.frozen; ++c) {
    running_mean[c] = (1 - m) * old_mean[c] + m * mean[c];
    if (rows > 1) running_var[c] = (1 - m) * old_var[c] + m * variance[c] * rows / (rows - 1);
  }
  run.expect("running_mean", a.running_mean, running_mean, 6);
  run.expect("running_var", a.running_var, running_var, 6);
  if (z.frozen) {
    mean = old_mean;
    variance = old_var;
  }
  Vec rstd(channels);
  for (size_t c = 0; c < channels; ++c) rstd[c] = 1 / std::sqrt(variance[c] + double(a.eps));
  if (!z.frozen) {
    run.expect("mean", a.mean, mean, 4);
    run.expect("rstd", a.rstd, rstd, 12);
    run.expect("batches", a.batches, {42}, 0);
  }
  const Vec residual = z.residual ? run.values(a.residual) : Vec();
  const Vec y = normalised(z, x, mean, rstd, run.values(a.gamma), run.values(a.beta), residual);
  // The mean is stored rounded: of a large one, half an ulp divided by the spread comes back in y.
  const double floor = std::max(2.0, (std::abs(z.centre) + 1) * largest(rstd) * 1.5);
  const double allowed = size_of(run.dtype) == 2 ? 1 : z.x.rows() == 1 ? 12 : ulps(run.dtype);
  run.expect("y", a.y, y, allowed, size_of(run.dtype) == 2 ? 1 : floor);
  if (z.packed) run.expect("passed", a.passed, packed_mask(run.values(a.y), channels), 0);
  if (!z.frozen) return;
  a.y = a.x;
  run_forward(run, z, a);
  run.expect("y in the place of x", a.y, y, allowed, size_of(run.dtype) == 2 ? 1 : floor);
}

/// What backward must give, from what it reads.
struct Gradients {
  Vec dx, dresidual, dgamma, dbeta;
  Gradients(const Setting& z, const Vec& x, const Vec& y, const Vec& dy, const Vec& gamma, const Vec& mean,
            const Vec& rstd)
      : dx(x.size()), dresidual(x.size()) {
    const size_t channels = gamma.size();
    const double rows = double(x.size() / channels);
    for (size_t i = 0; i < x.size(); ++i) dresidual[i] = z.relu && !(y[i] > 0) ? 0 : dy[i];
    dbeta = channel_sums(x.size(), channels, [&](size_t i) { return dresidual[i]; });
    dgamma = channel_sums(x.size(), channels, [&](size_t i) {
      return (long double)(dresidual[i]) * (x[i] - mean[i % channels]) * rstd[i % channels];
    });
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % channels;
      const double xhat = (x[i] - mean[c]) * rstd[c];
      const double through = z.frozen ? 0 : (dbeta[c] + xhat * dgamma[c]) / rows;
      dx[i] = gamma[c] * rstd[c] * (dresidual[i] - through);
    }
  }
};

Vec plus(const Vec& a, const Vec& b) {
  Vec out = a;
  for (size_t i = 0; i < a.size(); ++i) out[i] += b[i];
  return out;
}

void backward(CaseRun& run, const Setting& z) {
  const DType acc = accumulator_of(run.dtype);
  const Shape v{1, 1, 1, z.x.c};
  const BatchNormArgs a = arguments(run, z);
  run_forward(run, z, a);
  BatchNormGradArgs g;
  g.x = a.x;
  g.passed = a.passed;
  g.beta = a.beta;
  g.dy = run.input(z.x);
  g.gamma = a.gamma;
  g.act = a.act;
  (z.frozen ? g.running_mean : g.mean) = z.frozen ? a.running_mean : a.mean;
  (z.frozen ? g.running_var : g.rstd) = z.frozen ? a.running_var : a.rstd;
  const auto gradient = [&](Shape shape, DType type) {
    return z.mode == GradMode::overwrite ? run.output(shape, type) : run.input(shape, type, -1, 1);
  };
  g.dx = gradient(z.x, run.dtype);
  if (z.residual) g.dresidual = gradient(z.x, run.dtype);
  g.dgamma = gradient(v, acc);
  g.dbeta = gradient(v, acc);
  g.dx_mode = g.dresidual_mode = g.dw_mode = z.mode;
  Vec dx0, dresidual0, dgamma0, dbeta0;
  if (run.is_test()) {
    dx0 = run.values(g.dx);
    if (z.residual) dresidual0 = run.values(g.dresidual);
    dgamma0 = run.values(g.dgamma);
    dbeta0 = run.values(g.dbeta);
  }
  // Read twice: x, dy and relu's mask. Written: dx and dresidual.
  const double passes = 5 + (z.residual ? 1 : 0);
  run.op(passes * double(a.x.bytes()) + 2 * double(a.passed.bytes()), 14.0 * double(z.x.numel()),
         [&] { batchnorm_backward(run.stream, g); });
  if (!run.is_test()) return;

  const Vec mean = run.values(z.frozen ? a.running_mean : a.mean);
  Vec rstd = run.values(z.frozen ? a.running_var : a.rstd);
  if (z.frozen) {
    for (double& e : rstd) e = 1 / std::sqrt(e + double(a.eps));
  }
  const Gradients want(z, run.values(g.x), run.values(a.y), run.values(g.dy), run.values(g.gamma), mean, rstd);
  const auto expect = [&](const char* name, const Tensor& got, const Vec& before, const Vec& fresh, double allowed,
                          double floor) {
    const Vec expected = z.mode == GradMode::ignore      ? before
                         : z.mode == GradMode::overwrite ? fresh
                                                         : plus(before, fresh);
    run.expect(name, got, expected, z.mode == GradMode::ignore ? 0 : allowed, floor);
  };
  const double slope = 2 * 1.5 * largest(rstd);  // dx cancels from terms of this size
  const double terms = 4 + 2 * std::sqrt(double(z.x.rows()));
  expect("dx", g.dx, dx0, want.dx, ulps(run.dtype), size_of(run.dtype) == 2 ? 1 : slope);
  if (z.residual) expect("dresidual", g.dresidual, dresidual0, want.dresidual, 1, 1);
  expect("dgamma", g.dgamma, dgamma0, want.dgamma, terms, std::max(1.0, largest(want.dgamma)));
  expect("dbeta", g.dbeta, dbeta0, want.dbeta, terms, std::max(1.0, largest(want.dbeta)));
  if (z.mode != GradMode::overwrite || z.centre != 0) return;  // beside 1e4 a difference of 1e-6 has no digits

  const auto recompute = [&] { run_forward(run, z, a); };
  if (z.x.rows() > 1 || z.frozen) run.gradient("dx", g.x, g.dx, a.y, g.dy, recompute);
  if (z.residual) run.gradient("dresidual", a.residual, g.dresidual, a.y, g.dy, recompute);
  if (z.x.rows() > 1 || z.frozen) run.gradient("dgamma", g.gamma, g.dgamma, a.y, g.dy, recompute);
  run.gradient("dbeta", a.beta, g.dbeta, a.y, g.dy, recompute);

  g.dx = g.dy;
  g.dw_mode = g.dresidual_mode = GradMode::ignore;
  batchnorm_backward(run.stream, g);
  expect("dx in the place of dy", g.dx, dx0, want.dx, ulps(run.dtype), size_of(run.dtype) == 2 ? 1 : slope);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const auto add = [&](const Setting& z, bool backwards, bool bench) {
    const std::vector<DType> types = z.centre != 0 ? std::vector{DType::f32, DType::f64} : kAllFloats;
    to.push_back({backwards ? "batchnorm_backward" : "batchnorm_forward", z.name(),
                  bench ? std::vector{DType::f32, DType::bf16} : types,
                  [=](CaseRun& run) {
                    Setting sized = z;
                    sized.x = run.sized(z.x);
                    backwards ? backward(run, sized) : forward(run, sized);
                  },
                  bench, !bench});
  };
  const Shape shapes[] = {{1, 1, 1, 1},  {1, 1, 1, 17},  {2, 1, 1, 3},    {1, 13, 17, 1}, {2, 5, 7, 3},
                          {3, 7, 5, 17}, {2, 9, 11, 64}, {4, 33, 35, 24}, {1, 7, 7, 600}};
  for (const bool backwards : {false, true}) {
    for (const Shape& x : shapes) {
      for (const bool frozen : {false, true}) {
        add({.x = x, .frozen = frozen}, backwards, false);
        add({.x = x, .relu = true, .residual = true, .frozen = frozen, .packed = true}, backwards, false);
        add({.x = x, .relu = true, .frozen = frozen}, backwards, false);
      }
    }
    add({.x = {3, 7, 5, 16}, .residual = true}, backwards, false);
    for (const Shape& x : {Shape{3, 9, 7, 5}, Shape{4, 33, 35, 24}}) add({.x = x, .centre = 1e4}, backwards, false);
    for (const Shape& x : {Shape{24, 112, 112, 64}, Shape{48, 28, 28, 512}}) {
      add({.x = x, .relu = true}, backwards, true);
      add({.x = x, .relu = true, .residual = true, .packed = true}, backwards, true);
    }
  }
  add({.x = {24, 112, 112, 64}, .relu = true, .frozen = true}, false, true);
  for (const GradMode mode : {GradMode::accumulate, GradMode::ignore}) {
    for (const bool frozen : {false, true})
      add({.x = {3, 7, 5, 17}, .relu = true, .residual = true, .frozen = frozen, .packed = true, .mode = mode}, true,
          false);
  }
});

}  // namespace
}  // namespace telltale
