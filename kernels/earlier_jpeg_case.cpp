// The traces of an earlier JPEG against their definition, in pictures with such a past and without.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/case/op_case.h"
#include "kernels/earlier_jpeg.h"
#include "kernels/parts/jpeg_block.h"

namespace telltale {
namespace {

double wave(int f, int r) {
  static const std::vector<double> table = [] {
    std::vector<double> values;
    for (int u = 0; u < kBlock; ++u)
      for (int i = 0; i < kBlock; ++i)
        values.push_back((u ? 0.5 : std::sqrt(0.125)) * std::cos((2 * i + 1) * u * std::numbers::pi / 16));
    return values;
  }();
  return table[size_t(f) * kBlock + size_t(r)];
}

struct Past {
  int y, x, quality;  ///< where a block begins; quality 0: no past
};

/// Grey pictures whose blocks hold whole multiples of a quality's steps; the right half of each one is noise instead.
std::vector<double> pictures(CaseRun& run, Shape shape, const Past& past) {
  std::vector<double> x(size_t(shape.numel()));
  for (int n = 0; n < shape.n; ++n) {
    const auto put = [&](int y, int column, double v) {
      if (y < 0 || column < 0 || y >= shape.h || column >= shape.w) return;
      double* p = &x[((size_t(n) * size_t(shape.h) + size_t(y)) * size_t(shape.w) + size_t(column)) * 3];
      p[0] = p[1] = p[2] = v;
    };
    for (int y = past.y - kBlock; y < shape.h; y += kBlock)
      for (int column = past.x - kBlock; column < shape.w; column += kBlock) {
        double c[kFrequencies] = {};
        if (past.quality > 0 && column < shape.w / 2)
          for (int f = 0; f < kFrequencies; ++f)
            if (f / 8 + f % 8 <= 4) c[f] = earlier_step(past.quality, f / 8, f % 8) * double(run.random.integer(-3, 3));
        for (int i = 0; i < kFrequencies; ++i) {
          double v = 128 + run.random.uniform(-1, 1) * (past.quality > 0 && column < shape.w / 2 ? 1 : 60);
          for (int f = 0; f < kFrequencies; ++f) v += c[f] * wave(f / 8, i / 8) * wave(f % 8, i % 8);
          put(y + i / 8, column + i % 8, v);
        }
      }
  }
  return x;
}

/// The definition, one picture.
struct Definition {
  const double* x;  ///< {H,W,3}
  int h, w;

  double coefficient(int y, int column, int u, int v) const {
    double sum = 0;
    for (int r = 0; r < kBlock; ++r)
      for (int k = 0; k < kBlock; ++k) {
        const double* p = x + (size_t(y + r) * size_t(w) + size_t(column + k)) * 3;
        sum += wave(u, r) * wave(v, k) * (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] - 128);
      }
    return sum;
  }
  template <class F>
  static void each_frequency(F f) {
    for (int u = 0; u <= kEarlierHighest; ++u)
      for (int v = 0; u + v <= kEarlierHighest; ++v)
        if (u + v > 0) f(u, v);
  }
  /// Of every quality, on one grid.
  std::vector<double> evidence(int ay, int ax) const {
    std::vector<double> sum(kEarlierQualities), count(kEarlierQualities);
    each_frequency([&](int u, int v) {
      std::vector<double> bins(2 * kMostEarlierSize + 2);
      for (int y = ay; y + kBlock <= h; y += h * w > kAllCounted * kFrequencies ? 2 * kBlock : kBlock)
        for (int column = ax; column + kBlock <= w; column += kBlock) {
          const double size = 2 * std::abs(coefficient(y, column, u, v));
          if (size >= 2 * kMostEarlierSize) continue;
          bins[size_t(size)] += 1 - (size - std::floor(size));
          bins[size_t(size) + 1] += size - std::floor(size);
        }
      for (int q = 0; q < kEarlierQualities; ++q) {
        const int t = earlier_step(kLowestEarlierQuality + 2 * q, u, v);
        if (t < kLeastEarlierStep) continue;
        for (int m = 0; m <= 2 * kMostEarlierSize; ++m)
          if (5 * m >= 6 * t) {
            sum[size_t(q)] += bins[size_t(m)] * std::cos(2 * std::numbers::pi * (m / 2.0) / t);
            count[size_t(q)] += bins[size_t(m)];
          }
      }
    });
    for (size_t q = 0; q < sum.size(); ++q)
      sum[q] = count[q] < kLeastEarlierCount ? 0 : std::sqrt(2 / count[q]) * sum[q];
    return sum;
  }
  struct Found {
    Past past;
    double gate;
  };
  Found found() const {
    Found best{{0, 1, kLowestEarlierQuality}, 0};
    double most = 0, next = 0;
    for (int g = 1; g < kBlock * kBlock; ++g) {
      const std::vector<double> e = evidence(g / 8, g % 8);
      const size_t q = size_t(std::max_element(e.begin(), e.end()) - e.begin());
      if (e[q] > most) {
        next = most;
        most = e[q];
        best.past = {g / 8, g % 8, kLowestEarlierQuality + 2 * int(q)};
      } else {
        next = std::max(next, e[q]);
      }
    }
    best.gate = std::clamp((most - next - 1) / 4, 0.0, 1.0);
    return best;
  }
  /// {H/8,W/8,8}
  std::vector<double> traces(const Found& f) const {
    const int down = h / kBlock, across = w / kBlock;
    const size_t blocks = size_t(down) * size_t(across);
    const auto at = [&](int i, int j) { return size_t(i) * size_t(across) + size_t(j); };
    std::vector<double> y(blocks * kEarlierTraces), sums(blocks), weights = sums;
    const auto off = [](int a) { return a > 4 ? a - kBlock : a; };
    for (int i = 0; i < down; ++i)
      for (int j = 0; j < across; ++j) {
        const int top = i * kBlock + off(f.past.y), left = j * kBlock + off(f.past.x);
        const size_t block = at(i, j);
        double* to = &y[block * kEarlierTraces];
        if (top < 0 || left < 0 || top + kBlock > h || left + kBlock > w) continue;
        double small = 0, smalls = 1;
        each_frequency([&](int u, int v) {
          const int t = earlier_step(f.past.quality, u, v);
          if (t < kLeastEarlierStep) return;
          const double p = coefficient(top, left, u, v) / t, weight = std::clamp(4 * std::abs(p) - 2, 0.0, 1.0),
                       c = std::cos(2 * std::numbers::pi * p);
          const int band = u + v <= 3 ? 0 : 2;
          to[band] += weight * c / 4;
          to[band + 1] += weight / 4;
          sums[block] += weight * c;
          weights[block] += weight;
          small += (1 - weight) * c;
          smalls += 1 - weight;
        });
        to[4] = small / smalls;
      }
    for (int i = 0; i < down; ++i)
      for (int j = 0; j < across; ++j) {
        double* to = &y[at(i, j) * kEarlierTraces];
        for (const int reach : {1, 3}) {
          double sum = 0, weight = 2;
          for (int a = std::max(0, i - reach); a <= std::min(down - 1, i + reach); ++a)
            for (int b = std::max(0, j - reach); b <= std::min(across - 1, j + reach); ++b)
              sum += sums[at(a, b)], weight += weights[at(a, b)];
          to[reach == 1 ? 5 : 6] = 2 * sum / weight;
        }
        to[7] = 1;
        for (int b = 0; b < kEarlierTraces; ++b) to[b] *= f.gate;
      }
    return y;
  }
};

void traces_case(CaseRun& run, Shape blocks, const Past& past, int channels, int first) {
  const Shape picture{blocks.n, blocks.h * kBlock, blocks.w * kBlock, 3};
  const Tensor x = run.from(picture, run.dtype, pictures(run, picture, past));
  const Tensor y = run.input({blocks.n, blocks.h, blocks.w, channels});
  std::vector<double> expected = run.is_test() ? run.values(y) : std::vector<double>();
  const double pixels = double(picture.rows());
  run.op(double(x.bytes()) + double(blocks.rows() * kEarlierTraces) * double(size_of(run.dtype)), 1300 * pixels,
         [&] { earlier_jpeg(run.stream, x, y, first); });
  if (!run.is_test()) return;
  const std::vector<double> values = run.values(x);
  const size_t rows = size_t(blocks.h) * size_t(blocks.w);
  for (size_t n = 0; n < size_t(blocks.n); ++n) {
    const Definition d{&values[n * rows * 64 * 3], picture.h, picture.w};
    const Definition::Found found = d.found();
    if (past.quality > 0)
      TT_CHECK(
          found.past.y == past.y && found.past.x == past.x && found.past.quality == past.quality && found.gate == 1,
          UsageError, "the past is not found by its definition");
    const std::vector<double> traces = d.traces(found);
    for (size_t i = 0; i < traces.size(); ++i)
      expected[(n * rows + i / kEarlierTraces) * size_t(channels) + size_t(first) + i % kEarlierTraces] = traces[i];
  }
  // Cosines of up to a hundred periods; the gate has the evidence's errors, of sums of a thousand terms.
  run.expect("y", y, expected, 64, 4);
}

const RegisterCases registered([](std::vector<OpCase>& to) {
  const auto add = [&](Shape blocks, Past past, int channels, int first, bool bench = false) {
    to.push_back({"earlier_jpeg",
                  past.quality ? cat(to_string(blocks), " quality ", past.quality, " from ", past.y, ",", past.x)
                               : cat(to_string(blocks), " no past"),
                  bench ? std::vector<DType>{DType::f32, DType::bf16} : kAllFloats,
                  [=](CaseRun& run) { traces_case(run, blocks, past, channels, first); }, bench, !bench});
  };
  add({0, 1, 1, 1}, {}, 8, 0);
  add({1, 1, 1, 1}, {}, 8, 0);
  add({2, 3, 5, 1}, {}, 11, 2);
  add({1, 6, 10, 1}, {3, 5, 50}, 8, 0);
  add({2, 5, 9, 1}, {0, 7, 74}, 19, 11);
  add({1, 6, 9, 1}, {4, 0, 62}, 9, 1);
  add({1, 25, 41, 1}, {5, 2, 74}, 8, 0);
  add({8, 32, 32, 1}, {3, 5, 74}, 136, 128, true);
});

}  // namespace
}  // namespace telltale
