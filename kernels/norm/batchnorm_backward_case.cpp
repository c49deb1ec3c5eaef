// The gradients of batch normalisation against their definition in double, in every gradient mode.
#include <cmath>

#include "kernels/norm/batchnorm_definition.h"

namespace telltale::batchnorm_cases {
namespace {

/// What backward must give, from what it reads.
struct Gradients {
  Vec dx, dresidual, dgamma, dbeta;
  Gradients(const Setting& z, const Vec& x, const Vec& y, const Vec& dy, const Vec& gamma, const Vec& mean,
            const Vec& rstd)
      : dx(x.size()), dresidual(x.size()) {
    const size_t channels = gamma.size();
    const double rows = double(x.size()) / double(channels);
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
  const double steepest = 2 * 1.5 * largest(rstd);  // dx cancels from terms of this size
  const double terms = 4 + 2 * std::sqrt(double(z.x.rows()));
  expect("dx", g.dx, dx0, want.dx, ulps(run.dtype), size_of(run.dtype) == 2 ? 1 : steepest);
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
  expect("dx in the place of dy", g.dx, dx0, want.dx, ulps(run.dtype), size_of(run.dtype) == 2 ? 1 : steepest);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  add_cases(to, "batchnorm_backward", backward);
  for (const GradMode mode : {GradMode::accumulate, GradMode::ignore}) {
    for (const bool frozen : {false, true}) {
      const Setting z{
          .x = {3, 7, 5, 17}, .relu = true, .residual = true, .frozen = frozen, .packed = true, .mode = mode};
      add_case(to, "batchnorm_backward", backward, z, false);
    }
  }
});

}  // namespace
}  // namespace telltale::batchnorm_cases
