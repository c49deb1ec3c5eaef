#include <cmath>

#include "kernels/attention.h"
#include "kernels/core/op_case.h"

namespace telltale {
namespace {

struct Hole {
  int top, left, bottom, right;  // half-open, in x's pixels; each sample's is one pixel further right than the last's
};
struct Sizes {
  Shape x;
  Hole hole;
  std::string name() const {
    return cat(to_string(x), " hole ", hole.top, ",", hole.left, ",", hole.bottom, ",", hole.right);
  }
};

std::vector<double> mask_of(const Sizes& s) {
  std::vector<double> mask;
  for (int n = 0; n < s.x.n; ++n)
    for (int i = 0; i < s.x.h; ++i)
      for (int j = 0; j < s.x.w; ++j)
        mask.push_back(i >= s.hole.top && i < s.hole.bottom && j >= s.hole.left + n && j < s.hole.right + n);
  return mask;
}

/// The definition, patch by patch, as in the published form: nothing of the kernels' rearrangement is in it.
class Reference {
 public:
  Reference(const Shape& x, const double* image, const double* mask, double scale)
      : shape_(x), h_(x.h / 2), w_(x.w / 2), places_(h_ * w_), image_(image), mask_(mask), scale_(scale) {}

  /// y of one sample {H, W, C}.
  std::vector<double> run() const {
    Matrix score = matrix();
    for (int l = 0; l < places_; ++l) {
      for (int q = 0; q < places_; ++q) score[l][q] = match(l, q);
    }
    score = by_columns(fuse(by_columns(fuse(score), h_, w_)), w_, h_);
    for (int q = 0; q < places_; ++q) {
      double highest = -INFINITY, sum = 0;
      for (int l = 0; l < places_; ++l) highest = std::max(highest, scale_ * score[l][q] * valid(l));
      for (int l = 0; l < places_; ++l) sum += std::exp(scale_ * score[l][q] * valid(l) - highest);
      for (int l = 0; l < places_; ++l)
        score[l][q] = std::exp(scale_ * score[l][q] * valid(l) - highest) / sum * valid(l);
    }
    return paste(score);
  }

 private:
  using Matrix = std::vector<std::vector<double>>;
  Matrix matrix() const { return Matrix(size_t(places_), std::vector<double>(size_t(places_), 0.0)); }

  double pixel(int i, int j, int c) const {
    if (i < 0 || i >= shape_.h || j < 0 || j >= shape_.w) return 0;
    return image_[(int64_t(i) * shape_.w + j) * shape_.c + c];
  }
  double shrunk(int i, int j, int c) const { return i < 0 || i >= h_ || j < 0 || j >= w_ ? 0 : pixel(2 * i, 2 * j, c); }

  double match(int l, int q) const {
    double dot = 0, square = 0;
    for (int di = -1; di <= 1; ++di)
      for (int dj = -1; dj <= 1; ++dj)
        for (int c = 0; c < shape_.c; ++c) {
          const double v = shrunk(l / w_ + di, l % w_ + dj, c);
          dot += v * shrunk(q / w_ + di, q % w_ + dj, c);
          square += v * v + 1e-4;
        }
    return dot / std::sqrt(square);
  }

  Matrix fuse(const Matrix& in) const {
    Matrix out = matrix();
    for (int l = 0; l < places_; ++l)
      for (int q = 0; q < places_; ++q)
        for (int d = -1; d <= 1; ++d) {
          if (l + d >= 0 && l + d < places_ && q + d >= 0 && q + d < places_)
            out[size_t(l)][size_t(q)] += in[size_t(l + d)][size_t(q + d)];
        }
    return out;
  }

  /// Rows and columns, both in row-major order of rows × columns, reordered column-major.
  Matrix by_columns(const Matrix& in, int rows, int columns) const {
    Matrix out = matrix();
    const auto moved = [&](int p) { return size_t(p % columns * rows + p / columns); };
    for (int l = 0; l < places_; ++l)
      for (int q = 0; q < places_; ++q) out[moved(l)][moved(q)] = in[size_t(l)][size_t(q)];
    return out;
  }

  double valid(int l) const {
    for (int i = l / w_ - 1; i <= l / w_ + 1; ++i)
      for (int j = l % w_ - 1; j <= l % w_ + 1; ++j)
        if (i >= 0 && i < h_ && j >= 0 && j < w_ && mask_[int64_t(2 * i) * shape_.w + 2 * j] != 0) return 0;
    return 1;
  }

  std::vector<double> paste(const Matrix& a) const {
    std::vector<double> y(size_t(shape_.h) * size_t(shape_.w) * size_t(shape_.c), 0.0);
    for (int q = 0; q < places_; ++q)
      for (int ki = 0; ki < 4; ++ki)
        for (int kj = 0; kj < 4; ++kj) {
          const int i = 2 * (q / w_) + ki - 1, j = 2 * (q % w_) + kj - 1;
          if (i < 0 || i >= shape_.h || j < 0 || j >= shape_.w) continue;
          for (int l = 0; l < places_; ++l)
            for (int c = 0; c < shape_.c; ++c)
              y[(size_t(i) * size_t(shape_.w) + size_t(j)) * size_t(shape_.c) + size_t(c)] +=
                  a[size_t(l)][size_t(q)] * pixel(2 * (l / w_) + ki - 1, 2 * (l % w_) + kj - 1, c) / 4;
        }
    return y;
  }

  Shape shape_;
  int h_, w_, places_;
  const double *image_, *mask_;
  double scale_;
};

AttentionArgs args_of(CaseRun& r, const Sizes& s, double amplitude) {
  AttentionArgs a;
  a.x = r.input(s.x, -amplitude, amplitude);
  a.mask = r.from({s.x.n, s.x.h, s.x.w, 1}, r.dtype, mask_of(s));
  a.y = r.output(s.x);
  // Poisoned, so that nothing of scratch is read before it is written.
  const size_t bytes = attention_scratch_bytes(r.stream, s.x, r.dtype);
  a.scratch = r.output({1, 1, 1, int(bytes)}, DType::u8);
  return a;
}

void check(CaseRun& r, const Sizes& s) {
  AttentionArgs a = args_of(r, s, 0.5);
  const double places = s.x.h / 2 * (s.x.w / 2);
  const double flops = 2.0 * s.x.n * places * places * s.x.c * (9 + 16);  // as defined, not as computed
  r.op(2.0 * double(a.x.bytes()), flops, [&] { attention_forward(r.stream, a); });
  if (!r.is_test()) return;
  const std::vector<double> x = r.values(a.x), mask = r.values(a.mask);
  std::vector<double> expected;
  for (int n = 0; n < s.x.n; ++n) {
    const int64_t pixels = int64_t(s.x.h) * s.x.w;
    const auto y = Reference(s.x, x.data() + n * pixels * s.x.c, mask.data() + n * pixels, a.scale).run();
    expected.insert(expected.end(), y.begin(), y.end());
  }
  // A fused score sums nine matches of magnitude |p_q| = sqrt(9·C/12), each off by half an ulp or so; the softmax
  // multiplies that by the scale and at most by a·(1 − a) ≤ 1/4. 16-bit types round once, far above f32's share.
  const double score = 3 * std::sqrt(0.75 * s.x.c);
  r.expect("y", a.y, expected, size_of(r.dtype) == 2 ? 1 : a.scale * score / 4, 0.5);
}

/// One sample whose answer the published PyTorch module gave in double (csqiangwen's network_module.py).
void check_published(CaseRun& r) {
  const Sizes s{{1, 6, 8, 2}, {0, 0, 2, 3}};
  AttentionArgs a = args_of(r, s, 0.5);
  std::vector<double> x;
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 8; ++j)
      for (int c = 0; c < 2; ++c) x.push_back((i * 5 + j * 3 + c * 7 + i * j) % 13 / 6.0 - 1);
  r.assign(a.x, x);
  r.op(0, 0, [&] { attention_forward(r.stream, a); });
  r.expect("y", a.y,
           {-0.208326864945254,
            0.0833257947039643,
            -0.00259192051090984,
            -0.248956764356835,
            0.0421861284039956,
            -0.207820335741358,
            -0.37588615667737,
            0.207446991577424,
            0.173889927918079,
            -0.217049456266027,
            -0.251123827187347,
            0.223148864067284,
            0.0900392544437004,
            0.18204168325946,
            0.0833333333333333,
            -0.166666666666667,
            0.106857106119448,
            0.117942868785542,
            0.108638646911971,
            -0.0430761144037929,
            -0.154644431124309,
            0.168271139744949,
            0.352181286614911,
            -0.646964599393669,
            -0.680771758950018,
            0.485327915307184,
            0.364399016543697,
            -0.221071088895234,
            -0.437439142819461,
            0.255890079105316,
            0.0833333333333334,
            -0.416666666666667,
            0.215386150181603,
            -0.284607373555237,
            -0.468539268129298,
            0.372438408621305,
            0.157207834390421,
            -0.328677896766613,
            -0.354495853325356,
            0.178401063951606,
            0.161230558605608,
            -0.279259283002328,
            0.0835346410066088,
            -0.175604056182,
            -0.29177507587456,
            0.0417750766152974,
            -1.32886553172829e-69,
            -0.5,
            0.0739238200057459,
            0.115590488124423,
            0.235363116044895,
            -0.704216802498651,
            -0.691682429296858,
            0.394663655225626,
            0.276854938573799,
            -0.722461407223598,
            -0.722752569068218,
            0.443445159216233,
            0.166542742639519,
            -0.833356433256116,
            0.708369470970527,
            0.249783177139787,
            -0.0833333333333333,
            0.5,
            0.0416666666796405,
            -0.208333333339846,
            -0.416666666673282,
            0.166666666682897,
            0.166666666666667,
            -0.333333333333333,
            -0.333271455990662,
            0.249945877475717,
            0.24988911627716,
            -0.249958748438219,
            -0.375015509636776,
            0.499868490496269,
            0.5,
            -0.25,
            -0.166666666666667,
            0.416666666666667,
            0.25,
            1.94153121540101e-80,
            0.0833333333333334,
            -0.416666666666667,
            -0.333333333333333,
            0.25,
            0.333333333333333,
            -0.166666666666667,
            -0.0833333333333333,
            0.5,
            -0.5,
            0.0833333333333334,
            0.166666666666667,
            -0.333333333333333,
            -0.125,
            0.166666666666667},
           40, 0.5);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const std::vector<Sizes> test_sizes = {{{1, 2, 2, 1}, {0, 0, 0, 0}},    {{1, 2, 8, 3}, {0, 2, 2, 4}},
                                         {{2, 10, 6, 5}, {3, 2, 6, 4}},   {{3, 6, 14, 8}, {0, 5, 3, 8}},
                                         {{1, 16, 16, 7}, {5, 4, 9, 12}}, {{2, 8, 8, 4}, {0, 0, 8, 8}},
                                         {{1, 10, 10, 17}, {0, 0, 0, 0}}, {{0, 8, 8, 4}, {0, 0, 2, 2}}};
  const std::vector<Sizes> bench_sizes = {{{1, 64, 64, 192}, {16, 16, 40, 40}}, {{1, 128, 128, 192}, {32, 32, 80, 80}}};
  for (const Sizes& s : test_sizes)
    to.push_back({"attention", s.name(), kAllFloats, [s](CaseRun& r) { check(r, s); }, false, true});
  for (const Sizes& s : bench_sizes)
    to.push_back({"attention", s.name(), kAllFloats, [s](CaseRun& r) { check(r, s); }, true, false});
  to.push_back({"attention", "as published", {DType::f32, DType::f64}, check_published, false, true});
});

}  // namespace
}  // namespace telltale
