// Windows against their definition.
#include <algorithm>

#include "kernels/case/op_case.h"
#include "kernels/window.h"

namespace telltale {
namespace {

struct Sizes {
  Shape whole;  ///< in places
  int h, w;     ///< of the window
  int stride;
  Shape part() const { return {whole.n, h, w, whole.c}; }
  std::string name() const { return cat(h, "x", w, " of ", to_string(whole), " /", stride); }
};

/// Corners inside and, the last two samples', outside; in pixels.
std::vector<double> corners_of(CaseRun& r, const Sizes& s) {
  std::vector<double> corners;
  for (int n = 0; n < s.whole.n; ++n) {
    const bool outside = r.is_test() && n + 2 >= s.whole.n && s.whole.n > 2;
    for (const int64_t most : {(s.whole.h - s.h) * s.stride, (s.whole.w - s.w) * s.stride})
      corners.push_back(double(outside ? (n % 2 ? -100 : most + 100) : r.random.integer(0, most)));
  }
  return corners;
}

/// Row and column of a sample's window, in places.
std::pair<int, int> place_of(const std::vector<double>& corners, const Sizes& s, int n) {
  const auto along = [&](double at, int most) { return std::clamp(int(at) / s.stride, 0, most); };
  return {along(corners[2 * size_t(n)], s.whole.h - s.h), along(corners[2 * size_t(n) + 1], s.whole.w - s.w)};
}

size_t index_of(const Shape& s, int n, int h, int w) {
  return ((size_t(n) * size_t(s.h) + size_t(h)) * size_t(s.w) + size_t(w)) * size_t(s.c);
}

void crop(CaseRun& r, const Sizes& s) {
  const Tensor x = r.input(s.whole), y = r.output(s.part());
  const std::vector<double> corners = corners_of(r, s);
  const Tensor corner = r.from({s.whole.n, 1, 1, 2}, DType::i32, corners);
  r.op(2.0 * double(y.bytes()), 0, [&] { window_crop(r.stream, x, corner, s.stride, y); });
  if (!r.is_test()) return;
  const std::vector<double> values = r.values(x);
  std::vector<double> expected;
  for (int n = 0; n < s.whole.n; ++n) {
    const auto [row, column] = place_of(corners, s, n);
    for (int h = 0; h < s.h; ++h) {
      const auto first = values.begin() + ptrdiff_t(index_of(s.whole, n, row + h, column));
      expected.insert(expected.end(), first, first + s.w * s.whole.c);
    }
  }
  r.expect("y", y, expected, 0);
}

void blend(CaseRun& r, const Sizes& s) {
  const Shape& image = s.whole;
  WindowBlendArgs a{.a = r.input(image),
                    .b = r.input(s.part()),
                    .m = r.input({image.n, image.h, image.w, 1}, 0, 1),
                    .corner = {},
                    .y = r.output(image)};
  const std::vector<double> corners = corners_of(r, s);
  a.corner = r.from({image.n, 1, 1, 2}, DType::i32, corners);
  const double mask_bytes = double(a.m.bytes()) * s.h * s.w / std::max(1, image.h * image.w);
  r.op(2.0 * double(a.y.bytes()) + double(a.b.bytes()) + mask_bytes, 0, [&] { window_blend(r.stream, a); });
  if (!r.is_test()) return;
  std::vector<double> expected = r.values(a.a);
  const std::vector<double> b = r.values(a.b), m = r.values(a.m);
  for (int n = 0; n < image.n; ++n) {
    const auto [row, column] = place_of(corners, s, n);
    for (int h = 0; h < s.h; ++h)
      for (int w = 0; w < s.w; ++w) {
        const size_t at = index_of(image, n, row + h, column + w), from = index_of(s.part(), n, h, w);
        const double weight = m[at / size_t(image.c)];
        for (size_t c = 0; c < size_t(image.c); ++c)
          expected[at + c] = expected[at + c] * (1 - weight) + b[from + c] * weight;
      }
  }
  r.expect("y", a.y, expected, 3);  // two products and a sum
  a.y = a.a;
  window_blend(r.stream, a);
  r.expect("y in a's place", a.y, expected, 3);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  for (const Sizes& s :
       {Sizes{{1, 1, 1, 1}, 1, 1, 1}, Sizes{{0, 4, 4, 8}, 2, 2, 4}, Sizes{{4, 7, 5, 3}, 3, 4, 1},
        Sizes{{3, 8, 9, 33}, 8, 9, 4}, Sizes{{5, 6, 11, 24}, 2, 5, 4}, Sizes{{3, 16, 12, 8}, 8, 4, 2}}) {
    to.push_back({"window_crop", s.name(), kAllFloats, [s](CaseRun& r) { crop(r, s); }});
    Sizes pixels = s;
    pixels.stride = 1;
    to.push_back({"window_blend", pixels.name(), kAllFloats, [pixels](CaseRun& r) { blend(r, pixels); }});
  }
  const auto sized = [](const CaseRun& r, Sizes s) {
    s.whole = r.sized(s.whole);
    return s;
  };
  // DeepFillv2 at 256×256, half of each side painted.
  const Sizes features{{4, 64, 64, 192}, 32, 32, 4}, image{{4, 256, 256, 3}, 128, 128, 1};
  to.push_back(
      {"window_crop", features.name(), kAllFloats, [=](CaseRun& r) { crop(r, sized(r, features)); }, true, false});
  to.push_back({"window_blend", image.name(), kAllFloats, [=](CaseRun& r) { blend(r, sized(r, image)); }, true, false});
});

}  // namespace
}  // namespace telltale
