// Batch normalisation against its definition in double, in training and frozen form.
#include <cmath>

#include "kernels/norm/batchnorm_definition.h"

namespace telltale::batchnorm_cases {
namespace {

/// Per-channel mean and biased variance, by definition.
void statistics(const Vec& x, size_t channels, Vec& mean, Vec& variance) {
  const long double rows = (long double)(x.size()) / (long double)(channels);
  mean = channel_sums(x.size(), channels, [&](size_t i) { return x[i] / rows; });
  variance = channel_sums(x.size(), channels, [&](size_t i) {
    const long double d = (long double)(x[i]) - mean[i % channels];
    return d * d / rows;
  });
}

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

const RegisterCases cases([](std::vector<OpCase>& to) {
  add_cases(to, "batchnorm_forward", forward);
  add_case(to, "batchnorm_forward", forward, {.x = {24, 112, 112, 64}, .relu = true, .frozen = true}, true);
});

}  // namespace
}  // namespace telltale::batchnorm_cases
