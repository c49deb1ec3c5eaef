// Contrast against its definition in double, in every gradient mode.
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/norm/contrast.h"

namespace telltale {
namespace {

/// Mean and 1/√(variance + .01) of every sample's channels: {N,2C}.
std::vector<double> statistics(const Shape& s, const std::vector<double>& x) {
  const int pixels = s.h * s.w;
  std::vector<double> stats;
  for (int n = 0; n < s.n; ++n) {
    std::vector<double> means, scales;
    for (int c = 0; c < s.c; ++c) {
      const auto at = [&](int p) { return x[size_t((int64_t(n) * pixels + p) * s.c + c)]; };
      double mean = 0, variance = 0;
      for (int p = 0; p < pixels; ++p) mean += at(p) / pixels;
      for (int p = 0; p < pixels; ++p) variance += (at(p) - mean) * (at(p) - mean) / pixels;
      means.push_back(mean);
      scales.push_back(1 / std::sqrt(variance + 0.01));
    }
    stats.insert(stats.end(), means.begin(), means.end());
    stats.insert(stats.end(), scales.begin(), scales.end());
  }
  return stats;
}

/// Where the parts of element i of x lie: in y's second half, and in stats.
struct At {
  size_t x, first, second, mean, scale;
  At(const Shape& s, size_t i) : x(i) {
    const size_t c = size_t(s.c), channel = i % c, sample = i / c / size_t(s.h * s.w);
    first = i / c * 2 * c + channel;
    second = first + c;
    mean = sample * 2 * c + channel;
    scale = mean + c;
  }
};

struct Setting {
  Shape x;
  double low, high;
};

ContrastArgs arguments(CaseRun& run, const Setting& z) {
  return {.x = run.input(z.x, z.low, z.high),
          .y = run.output({z.x.n, z.x.h, z.x.w, 2 * z.x.c}),
          .stats = run.output({z.x.n, 1, 1, 2 * z.x.c}, accumulator_of(run.dtype))};
}

void forward(CaseRun& run, const Setting& z) {
  const ContrastArgs a = arguments(run, z);
  run.op(double(2 * a.x.bytes() + a.y.bytes()), 6.0 * double(z.x.numel()), [&] { contrast_forward(run.stream, a); });
  if (!run.is_test()) return;
  const std::vector<double> x = run.values(a.x), stats = statistics(z.x, x);
  std::vector<double> y(2 * x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const At at(z.x, i);
    y[at.first] = x[i];
    y[at.second] = (x[i] - stats[at.mean]) * stats[at.scale];
  }
  // A mean of K terms is off by √K units of its own size, and the spread's tenth or more of it is what they are held
  // against.
  const double size = 10 * std::max(std::abs(z.low), std::abs(z.high));
  run.expect("stats", a.stats, stats, 16, size);
  run.expect("y", a.y, y, 4, size);
}

void backward(CaseRun& run, const Setting& z, GradMode mode) {
  const ContrastArgs a = arguments(run, z);
  contrast_forward(run.stream, a);
  run.stream.sync();
  const Tensor dy = run.input(a.y.shape);
  const Tensor dx = mode == GradMode::overwrite ? run.output(z.x) : run.input(z.x);
  std::vector<double> want = run.is_test() ? run.values(dx) : std::vector<double>();
  const ContrastGradArgs g{.x = a.x, .stats = a.stats, .dy = dy, .dx = dx, .mode = mode};
  run.op(double(2 * a.x.bytes() + 2 * dy.bytes()), 12.0 * double(z.x.numel()),
         [&] { contrast_backward(run.stream, g); });
  if (!run.is_test()) return;
  const std::vector<double> x = run.values(a.x), d = run.values(dy), stats = statistics(z.x, x);
  std::vector<double> sums(stats.size());  // of the second half's gradient, and of its product with that half
  const double pixels = double(z.x.h) * z.x.w;
  const auto normal = [&](const At& at) { return (x[at.x] - stats[at.mean]) * stats[at.scale]; };
  for (size_t i = 0; i < x.size(); ++i) {
    const At at(z.x, i);
    sums[at.mean] += d[at.second] / pixels;
    sums[at.scale] += d[at.second] * normal(at) / pixels;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const At at(z.x, i);
    const double whole = d[at.first] + stats[at.scale] * (d[at.second] - sums[at.mean] - normal(at) * sums[at.scale]);
    if (mode == GradMode::overwrite) want[i] = whole;
    if (mode == GradMode::accumulate) want[i] += whole;
  }
  run.expect("dx", dx, want, 4, 10 * std::max(std::abs(z.low), std::abs(z.high)));  // 1/√.01 enlarges what it is fed
  if (mode == GradMode::overwrite) run.gradient("dx", a.x, dx, a.y, dy, [&] { contrast_forward(run.stream, a); });
}

const RegisterCases registered([](std::vector<OpCase>& to) {
  for (const Setting& z : {Setting{{0, 2, 2, 8}, -1, 1}, Setting{{1, 1, 1, 1}, -1, 1}, Setting{{2, 3, 5, 7}, -1, 1},
                           Setting{{3, 4, 2, 24}, 3, 5}, Setting{{1, 17, 13, 9}, 0, 2}}) {
    const std::string name = cat(to_string(z.x), " from ", z.low);
    to.push_back({"contrast_forward", name, kAllFloats, [=](CaseRun& run) { forward(run, z); }});
    for (const GradMode mode : {GradMode::overwrite, GradMode::accumulate, GradMode::ignore})
      to.push_back({"contrast_backward", cat(name, " mode ", int(mode)), kAllFloats,
                    [=](CaseRun& run) { backward(run, z, mode); }});
  }
  const Setting large{{8, 32, 32, 96}, -1, 1};
  for (const bool back : {false, true})
    to.push_back({back ? "contrast_backward" : "contrast_forward",
                  to_string(large.x),
                  {DType::f32, DType::bf16},
                  [=](CaseRun& run) { back ? backward(run, large, GradMode::overwrite) : forward(run, large); },
                  true,
                  false});
});

}  // namespace
}  // namespace telltale
