#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/preprocess.h"
#include "kernels/space_to_depth_definition.h"

namespace telltale {
namespace {

struct Sizes {
  Shape x;
  int h, w;
  bool flips;
  int gathered = 0;     ///< samples gathered from x by index; 0: x's images in order
  bool blocks = false;  ///< y in blocks of 2×2 pixels
  int samples() const { return gathered ? gathered : x.n; }
  std::string name() const {
    return cat(to_string(x), " to ", h, "x", w, flips ? " flip" : "", gathered ? cat(" gather ", gathered) : "",
               blocks ? " blocks" : "");
  }
};

/// Row o of the antialiased triangle filter, by its definition.
std::vector<double> weights(int in, int out, int o) {
  const double scale = double(in) / out, width = std::max(scale, 1.0);
  std::vector<double> w;
  double total = 0;
  for (int i = 0; i < in; ++i) {
    w.push_back(std::max(0.0, 1 - std::abs(i + 0.5 - scale * (o + 0.5)) / width));
    total += w.back();
  }
  for (double& v : w) v /= total;
  return w;
}

void check(CaseRun& r, const Sizes& s) {
  PreprocessArgs a;
  a.x = r.input(s.x, DType::u8, 0, 256);
  const int samples = s.samples();
  std::vector<double> flips(size_t(samples), 0.0), index(flips);
  for (size_t n = 0; n < flips.size(); ++n) {
    flips[n] = s.flips && n % 2 == 0;
    index[n] = s.gathered ? double((5 * n + 2) % size_t(s.x.n)) : double(n);  // the last images too, and some twice
  }
  if (s.flips) a.flip = r.from({1, 1, 1, samples}, DType::u8, flips);
  if (s.gathered) a.index = r.from({1, 1, 1, samples}, DType::i32, index);
  const Shape images{samples, s.h, s.w, 3};
  a.blocks = s.blocks;
  a.y = r.output(s.blocks ? blocks_shape(images) : images);
  r.op(double(a.y.shape.n) * double(s.x.h) * s.x.w * 3 + double(a.y.bytes()), 0, [&] { preprocess(r.stream, a); });
  if (!r.is_test()) return;
  const std::vector<double> x = r.values(a.x);
  std::vector<double> expected;
  for (int n = 0; n < samples; ++n)
    for (int h = 0; h < s.h; ++h)
      for (int w = 0; w < s.w; ++w)
        for (int c = 0; c < 3; ++c) {
          const std::vector<double> rows = weights(s.x.h, s.h, h), columns = weights(s.x.w, s.w, w);
          double v = 0;
          for (int i = 0; i < s.x.h; ++i) {
            for (int j = 0; j < s.x.w; ++j) {
              const int source = flips[size_t(n)] != 0 ? s.x.w - 1 - j : j;
              v += rows[size_t(i)] * columns[size_t(j)] *
                   x[size_t(((int64_t(index[size_t(n)]) * s.x.h + i) * s.x.w + source) * 3 + c)];
            }
          }
          expected.push_back((v / 255 - double(a.mean[c])) / double(a.std[c]));
        }
  // v/255 and the subtraction round at magnitude 1 and are divided by std ≥ 0.224; resizing adds the rounding of its
  // weights.
  const bool resized = s.x.h != s.h || s.x.w != s.w;
  r.expect("y", a.y, s.blocks ? blocks_of(expected, images) : expected, resized ? 12 : 4);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const std::vector<Sizes> test_sizes = {
      {{1, 1, 1, 3}, 1, 1, false},          {{3, 5, 7, 3}, 5, 7, true},           {{2, 9, 4, 3}, 9, 4, false},
      {{3, 11, 9, 3}, 4, 5, true},          {{1, 3, 4, 3}, 7, 13, true},          {{2, 8, 16, 3}, 4, 8, false},
      {{0, 4, 4, 3}, 4, 4, true},           {{3, 2, 24, 3}, 2, 24, true},         {{7, 3, 5, 3}, 3, 5, true, 4},
      {{5, 2, 16, 3}, 2, 16, true, 9},      {{4, 9, 6, 3}, 4, 5, false, 3},       {{3, 4, 8, 3}, 4, 8, true, 0, true},
      {{4, 9, 7, 3}, 6, 10, true, 3, true}, {{1, 2, 2, 3}, 2, 2, false, 0, true}, {{0, 2, 2, 3}, 2, 2, false, 0, true}};
  const std::vector<Sizes> bench_sizes = {{{8, 256, 256, 3}, 256, 256, true},
                                          {{8, 512, 384, 3}, 256, 256, true},
                                          {{8, 256, 256, 3}, 256, 256, true, 8},
                                          {{8, 256, 256, 3}, 256, 256, true, 0, true}};
  for (const Sizes& s : test_sizes)
    to.push_back({"preprocess", s.name(), kAllFloats, [s](CaseRun& r) { check(r, s); }, false, true});
  for (const Sizes& s : bench_sizes)
    to.push_back({"preprocess", s.name(), kAllFloats,
                  [s](CaseRun& r) {
                    Sizes sized = s;
                    sized.x = r.sized(s.x);
                    if (s.gathered) sized.gathered = sized.x.n;
                    check(r, sized);
                  },
                  true, false});
});

}  // namespace
}  // namespace telltale
