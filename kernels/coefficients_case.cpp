// Coefficients and their traces against their definitions.
#include <cmath>
#include <numbers>

#include "kernels/case/op_case.h"
#include "kernels/coefficients.h"

namespace telltale {
namespace {

/// From a picture: all of the 64 sums over 64 pixels, straight from the definition.
void coefficients(CaseRun& run, Shape blocks) {
  const Shape picture{blocks.n, blocks.h * kBlock, blocks.w * kBlock, 3};
  const Tensor x = run.input(picture, 0, 255);
  const Tensor c = run.output({blocks.n, blocks.h, blocks.w, kFrequencies}, accumulator_of(run.dtype));
  run.op(double(x.bytes() + c.bytes()), 32.0 * double(c.shape.numel()), [&] { block_coefficients(run.stream, x, c); });
  if (!run.is_test()) return;
  const std::vector<double> pixels = run.values(x);
  std::vector<double> want;
  const auto wave = [](int u, int r) {
    return (u ? 0.5 : std::sqrt(0.125)) * std::cos((2 * r + 1) * u * std::numbers::pi / 16);
  };
  for (int n = 0; n < blocks.n; ++n)
    for (int h = 0; h < blocks.h; ++h)
      for (int w = 0; w < blocks.w; ++w)
        for (int f = 0; f < kFrequencies; ++f) {
          double sum = 0;
          for (int r = 0; r < kBlock; ++r)
            for (int k = 0; k < kBlock; ++k) {
              const size_t line = size_t(n) * size_t(picture.h) + size_t(h * kBlock + r);
              const double* p = &pixels[(line * size_t(picture.w) + size_t(w * kBlock + k)) * 3];
              sum += wave(f / kBlock, r) * wave(f % kBlock, k) * (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] - 128);
            }
          want.push_back(sum);
        }
  run.expect("c", c, want, 16, 1024);  // sums of 64 terms, as large together as 1024
}

/// Coefficients of a picture with a past: multiples of a step at each frequency, more or less; of every size.
Tensor usual(CaseRun& run, Shape shape) {
  std::vector<double> c(size_t(shape.numel()));
  for (size_t i = 0; i < c.size(); ++i) {
    const int step = 1 + int(i % 7);
    const int64_t most = i % 5 == 0 ? 120 : 12;
    // Off the halves between two bins, which float and double could round apart.
    c[i] = double(run.random.integer(-most, most)) * (i % 3 ? step : 1) / (i % 11 ? 1 : 4) + 0.0625;
  }
  const size_t special = std::min<size_t>(c.size(), 5);
  const double at[] = {0.5, 1.5, -2.5, 80.5, 1e9};  // ties go to even: 80.5 still has a history
  for (size_t i = 0; i < special; ++i) c[i] = at[i];
  return run.from(shape, accumulator_of(run.dtype), c);
}

struct Target {
  Shape blocks;
  int channels, first;
  std::string name() const { return cat(to_string(blocks), " to ", first, " of ", channels); }
};

/// Runs an op into some of y's channels and holds those against `want`, the others against what they were.
template <class Op, class Want>
void traces(CaseRun& run, const Target& t, const Op& op, double ulps, const Want& want) {
  const Shape shape{t.blocks.n, t.blocks.h, t.blocks.w, kFrequencies};
  const Tensor c = usual(run, shape), y = run.input({shape.n, shape.h, shape.w, t.channels});
  std::vector<double> expected = run.is_test() ? run.values(y) : std::vector<double>();
  run.op(double(c.bytes()) + double(shape.numel()) * double(size_of(run.dtype)), 8.0 * double(shape.numel()),
         [&] { op(run.stream, c, y, t.first); });
  if (!run.is_test()) return;
  const std::vector<double> traces = want(shape, run.values(c));
  for (size_t i = 0; i < traces.size(); ++i)
    expected[i / kFrequencies * size_t(t.channels) + size_t(t.first) + i % kFrequencies] = traces[i];
  run.expect("y", y, expected, ulps);
}

std::vector<double> magnitudes(const Shape&, std::vector<double> c) {
  for (double& v : c) v = std::log(std::abs(v) + 0.5) - 0.7;
  return c;
}

/// The definition, with histograms over both signs.
std::vector<double> histories(const Shape& shape, const std::vector<double>& c) {
  constexpr int most = kLargestCoefficient;
  const int blocks = shape.h * shape.w;
  std::vector<double> y(c.size());
  for (int n = 0; n < shape.n; ++n)
    for (int f = 0; f < kFrequencies; ++f) {
      const auto at = [&](int b) { return size_t((int64_t(n) * blocks + b) * kFrequencies + f); };
      double histogram[2 * most + 1] = {};
      for (int b = 0; b < blocks; ++b) {
        const double v = std::nearbyint(std::abs(c[at(b)]));
        if (v > most) continue;
        histogram[most + int(v)] += 0.5 / blocks;
        histogram[most - int(v)] += 0.5 / blocks;
      }
      const auto smooth = [&](int v, double spread) {
        double sum = 0;
        for (int u = -most; u <= most; ++u) {
          const double d = v - u;
          if (std::abs(d) > 8 * spread) continue;
          sum +=
              histogram[most + u] * std::exp(-d * d / 2 / spread / spread) / (spread * std::sqrt(2 * std::numbers::pi));
        }
        return sum;
      };
      for (int b = 0; b < blocks; ++b) {
        const double v = std::nearbyint(std::abs(c[at(b)]));
        if (v > most) continue;
        const double p = smooth(int(v), kFineSpread), e = smooth(int(v), kSpread), ground = 0.02 * e + 0.02 / blocks;
        y[at(b)] = std::log((p + ground) / (e + ground)) * (v <= 1 ? 0.3 : 1);
      }
    }
  return y;
}

void magnitude_case(CaseRun& run, const Target& t) { traces(run, t, log_magnitude, 4, magnitudes); }
// Sums of up to 49 positive terms, and the ratio's logarithm.
void history_case(CaseRun& run, const Target& t) { traces(run, t, coefficient_history, 16, histories); }

const RegisterCases registered([](std::vector<OpCase>& to) {
  for (const Shape& blocks : {Shape{0, 1, 1, 1}, Shape{1, 1, 1, 1}, Shape{2, 3, 5, 1}, Shape{3, 4, 2, 1}}) {
    to.push_back(
        {"block_coefficients", to_string(blocks), kAllFloats, [=](CaseRun& run) { coefficients(run, blocks); }});
    for (const auto& [channels, first] : {std::pair{64, 0}, {131, 67}}) {
      const Target t{blocks, channels, first};
      to.push_back({"log_magnitude", t.name(), kAllFloats, [=](CaseRun& run) { magnitude_case(run, t); }});
      to.push_back({"coefficient_history", t.name(), kAllFloats, [=](CaseRun& run) { history_case(run, t); }});
    }
  }
  const Target large{{8, 32, 32, 1}, 128, 64};
  const std::vector<DType> timed = {DType::f32, DType::bf16};
  to.push_back(
      {"block_coefficients", large.name(), timed, [=](CaseRun& run) { coefficients(run, large.blocks); }, true, false});
  to.push_back({"log_magnitude", large.name(), timed, [=](CaseRun& run) { magnitude_case(run, large); }, true, false});
  to.push_back(
      {"coefficient_history", large.name(), timed, [=](CaseRun& run) { history_case(run, large); }, true, false});
});

}  // namespace
}  // namespace telltale
