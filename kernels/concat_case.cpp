#include "kernels/case/op_case.h"
#include "kernels/concat.h"

namespace telltale {
namespace {

struct Sizes {
  int n, h, w;
  std::vector<int> channels;
  Shape part(size_t i) const { return {n, h, w, channels[i]}; }
  Shape whole() const {
    Shape s{n, h, w, 0};
    for (int c : channels) s.c += c;
    return s;
  }
  std::string name() const {
    std::string s = cat(n, "x", h, "x", w, " of");
    for (int c : channels) s += cat(" ", c);
    return s;
  }
};

void check_forward(CaseRun& r, const Sizes& s) {
  std::vector<Tensor> x;
  for (size_t i = 0; i < s.channels.size(); ++i) x.push_back(r.input(s.part(i)));
  const Tensor y = r.output(s.whole());
  r.op(2.0 * double(y.bytes()), 0, [&] { concat_forward(r.stream, x, y); });
  if (!r.is_test()) return;
  std::vector<std::vector<double>> values;
  values.reserve(x.size());
  for (const Tensor& t : x) values.push_back(r.values(t));
  std::vector<double> expected;
  for (int64_t p = 0; p < s.whole().rows(); ++p) {
    for (size_t i = 0; i < x.size(); ++i) {
      const auto first = values[i].begin() + p * s.channels[i];
      expected.insert(expected.end(), first, first + s.channels[i]);
    }
  }
  r.expect("y", y, expected, 0);
}

void check_backward(CaseRun& r, const Sizes& s) {
  const Tensor dy = r.input(s.whole());
  std::vector<Tensor> dx;
  std::vector<GradMode> modes;
  std::vector<std::vector<double>> expected;
  for (size_t i = 0; i < s.channels.size(); ++i) {
    modes.push_back(i % 3 == 0 ? GradMode::overwrite : i % 3 == 1 ? GradMode::accumulate : GradMode::ignore);
    dx.push_back(modes[i] == GradMode::overwrite ? r.output(s.part(i)) : r.input(s.part(i)));
    if (r.is_test()) expected.push_back(r.values(dx[i]));
  }
  r.op(2.0 * double(dy.bytes()), 0, [&] { concat_backward(r.stream, dy, dx, modes); });
  if (!r.is_test()) return;
  const std::vector<double> gradient = r.values(dy);
  size_t offset = 0;
  for (size_t i = 0; i < dx.size(); ++i) {
    const size_t c = size_t(s.channels[i]);
    for (size_t p = 0; p < expected[i].size() / c && modes[i] != GradMode::ignore; ++p) {
      for (size_t k = 0; k < c; ++k) {
        const double v = gradient[p * size_t(s.whole().c) + offset + k];
        double& e = expected[i][p * c + k];
        e = modes[i] == GradMode::accumulate ? e + v : v;
      }
    }
    // One addition, rounded once.
    r.expect(cat("dx", i), dx[i], expected[i], modes[i] == GradMode::accumulate ? 1 : 0);
    offset += c;
  }
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const std::vector<Sizes> test_sizes = {{1, 1, 1, {1}},           {2, 3, 5, {3, 1}},      {1, 4, 4, {8, 16}},
                                         {2, 5, 3, {7, 9, 17, 1}}, {1, 3, 3, {16, 8, 24}}, {0, 2, 2, {4, 4}}};
  const std::vector<Sizes> bench_sizes = {{8, 64, 64, {192, 192}}, {8, 256, 256, {3, 1}}};
  for (const Sizes& s : test_sizes) {
    to.push_back({"concat_forward", s.name(), kAllFloats, [s](CaseRun& r) { check_forward(r, s); }, false, true});
    to.push_back({"concat_backward", s.name(), kAllFloats, [s](CaseRun& r) { check_backward(r, s); }, false, true});
  }
  const auto sized = [](const CaseRun& r, Sizes s) {
    s.n = r.sized(s.whole()).n;
    return s;
  };
  for (const Sizes& s : bench_sizes) {
    to.push_back(
        {"concat_forward", s.name(), kAllFloats, [=](CaseRun& r) { check_forward(r, sized(r, s)); }, true, false});
    to.push_back(
        {"concat_backward", s.name(), kAllFloats, [=](CaseRun& r) { check_backward(r, sized(r, s)); }, true, false});
  }
});

}  // namespace
}  // namespace telltale
