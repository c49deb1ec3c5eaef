#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/resample.h"

namespace telltale {
namespace {

struct Sizes {
  Shape x;
  int h, w;
  Shape y() const { return {x.n, h, w, x.c}; }
  std::string name() const { return cat(to_string(x), " to ", h, "x", w); }
};

int64_t at(const Shape& s, int n, int h, int w, int c) { return ((int64_t(n) * s.h + h) * s.w + w) * s.c + c; }

/// Dense weights [output][input] of one axis, by the definition each op's header gives.
using Axis = std::vector<std::vector<double>>;
Axis nearest_axis(int in, int out) {
  Axis w(size_t(out), std::vector<double>(size_t(in), 0.0));
  for (int o = 0; o < out; ++o) w[size_t(o)][size_t(int64_t(o) * in / out)] = 1;
  return w;
}
Axis aligned_axis(int in, int out) {
  Axis w(size_t(out), std::vector<double>(size_t(in), 0.0));
  for (int o = 0; o < out; ++o)
    w[size_t(o)][out == 1 ? 0 : size_t(std::floor(double(o) * (in - 1) / (out - 1) + 0.5))] = 1;
  return w;
}
/// y = rows ⊗ columns · x, or its transpose.
std::vector<double> apply(const Axis& rows, const Axis& columns, const std::vector<double>& v, const Sizes& s,
                          bool transpose) {
  const Shape x = s.x, y = s.y();
  std::vector<double> out(size_t(transpose ? x.numel() : y.numel()), 0.0);
  for (int n = 0; n < x.n; ++n)
    for (int oh = 0; oh < y.h; ++oh)
      for (int ow = 0; ow < y.w; ++ow)
        for (int ih = 0; ih < x.h; ++ih)
          for (int iw = 0; iw < x.w; ++iw) {
            const double weight = rows[size_t(oh)][size_t(ih)] * columns[size_t(ow)][size_t(iw)];
            if (weight == 0) continue;
            for (int c = 0; c < x.c; ++c) {
              const size_t i = size_t(at(x, n, ih, iw, c)), o = size_t(at(y, n, oh, ow, c));
              if (transpose) {
                out[i] += weight * v[o];
              } else {
                out[o] += weight * v[i];
              }
            }
          }
  return out;
}

using Forward = void (*)(Stream&, Tensor, Tensor);
using Backward = void (*)(Stream&, Tensor, Tensor, GradMode);
using MakeAxis = Axis (*)(int, int);

void check_forward(CaseRun& r, const Sizes& s, Forward forward, MakeAxis axis, double ulps) {
  const Tensor x = r.input(s.x), y = r.output(s.y());
  r.op(double(x.bytes() + y.bytes()), 0, [&] { forward(r.stream, x, y); });
  if (r.is_test()) r.expect("y", y, apply(axis(s.x.h, s.h), axis(s.x.w, s.w), r.values(x), s, false), ulps);
}

void check_backward(CaseRun& r, const Sizes& s, Forward forward, Backward backward, MakeAxis axis, double ulps) {
  const Tensor dy = r.input(s.y()), dx = r.output(s.x);
  r.op(double(dx.bytes() + dy.bytes()), 0, [&] { backward(r.stream, dy, dx, GradMode::overwrite); });
  if (!r.is_test()) return;
  const std::vector<double> gradient = apply(axis(s.x.h, s.h), axis(s.x.w, s.w), r.values(dy), s, true);
  r.expect("dx", dx, gradient, ulps);

  const Tensor sum = r.input(s.x);
  std::vector<double> expected = r.values(sum);
  backward(r.stream, dy, sum, GradMode::ignore);
  r.expect("dx ignored", sum, expected, 0);
  for (size_t i = 0; i < expected.size(); ++i) expected[i] += gradient[i];
  backward(r.stream, dy, sum, GradMode::accumulate);
  r.expect("dx accumulated", sum, expected, ulps);

  const Tensor x = r.input(s.x), y = r.output(s.y());
  r.gradient("dx", x, dx, y, dy, [&] { forward(r.stream, x, y); });
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const std::vector<Sizes> test_sizes = {{{1, 1, 1, 1}, 1, 1},   {{2, 3, 5, 3}, 6, 10}, {{1, 5, 7, 17}, 5, 7},
                                         {{2, 7, 11, 8}, 3, 4},  {{1, 4, 6, 16}, 2, 3}, {{3, 2, 3, 1}, 13, 7},
                                         {{1, 13, 5, 9}, 1, 19}, {{0, 4, 4, 8}, 8, 8}};
  const std::vector<Sizes> bench_sizes = {{{8, 64, 64, 192}, 128, 128}, {{8, 128, 128, 96}, 64, 64}};
  const auto add = [&](const Sizes& s, bool bench) {
    // Nearest copies, so forward is exact; backward sums at most (Ho/H+1)·(Wo/W+1) gradients, here 21.
    // 16-bit types round once, at the end.
    const auto put = [&](const char* op, auto run) {
      const auto on_size = [=](CaseRun& r) {
        Sizes sized = s;
        sized.x = r.sized(s.x);
        run(r, sized);
      };
      to.push_back({op, s.name(), kAllFloats, on_size, bench, !bench});
    };
    put("nearest_forward", [](CaseRun& r, const Sizes& z) { check_forward(r, z, nearest_forward, nearest_axis, 0); });
    put("nearest_backward",
        [](CaseRun& r, const Sizes& z) { check_backward(r, z, nearest_forward, nearest_backward, nearest_axis, 5); });
    put("nearest_aligned_forward",
        [](CaseRun& r, const Sizes& z) { check_forward(r, z, nearest_aligned_forward, aligned_axis, 0); });
    put("nearest_aligned_backward", [](CaseRun& r, const Sizes& z) {
      check_backward(r, z, nearest_aligned_forward, nearest_aligned_backward, aligned_axis, 5);
    });
  };
  for (const Sizes& s : test_sizes) add(s, false);
  for (const Sizes& s : bench_sizes) add(s, true);
});

}  // namespace
}  // namespace telltale
