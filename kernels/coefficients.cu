#include <cmath>
#include <numbers>

#include "kernels/coefficients.h"
#include "kernels/device/launch.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

/// One row of a block's coefficients: first down its columns under one vertical frequency, then across.
template <class T>
struct BlockRow {
  using A = acc_t<T>;
  const T* x;
  A* c;
  int h, w;  ///< in blocks
  A basis[kBlock][kBlock];
  TT_HD void operator()(int64_t i) const {
    const int64_t block = i / kBlock, line = divide(block, w);
    const int u = int(i - block * kBlock);
    // A picture's h·8 rows lie one behind the other, so a line of blocks is found without its sample.
    const T* pixels = x + (line * kBlock * w + (block - line * w)) * kBlock * 3;
    const int64_t row = int64_t(w) * kBlock * 3;
    A sums[kBlock] = {};
    for (int r = 0; r < kBlock; ++r) {
      each_in_chunk([&](int k) {
        const T* p = pixels + r * row + k * 3;
        sums[k] += basis[u][r] * (A(0.299) * load(p[0]) + A(0.587) * load(p[1]) + A(0.114) * load(p[2]) - A(128));
      });
    }
    for (int v = 0; v < kBlock; ++v) {
      A total = 0;
      for (int k = 0; k < kBlock; ++k) total += basis[v][k] * sums[k];
      c[block * kFrequencies + u * kBlock + v] = total;
    }
  }
};

template <class T>
struct LogMagnitude {
  using A = acc_t<T>;
  const A* c;
  T* y;
  int channels;
  TT_HD void operator()(int64_t i) const {
    const int64_t block = i / kFrequencies;
    y[block * channels + (i - block * kFrequencies)] = store<T>(std::log(std::abs(c[i]) + A(0.5)) - A(0.7));
  }
};

constexpr int kBins = kLargestCoefficient + 1;
/// The bin of a coefficient; kBins where it has none.
template <class A>
TT_HD inline int bin_of(A c) {
  const A magnitude = std::rint(std::abs(c));
  return magnitude <= A(kLargestCoefficient) ? int(magnitude) : kBins;
}

/// A sample's counts at one frequency.
template <class A>
struct Count {
  const A* c;
  A* counts;
  int64_t blocks;
  TT_HD void operator()(int64_t i) const {
    const int64_t n = i / kFrequencies;
    const A* from = c + n * blocks * kFrequencies + (i - n * kFrequencies);
    A* to = counts + i * kBins;
    for (int v = 0; v < kBins; ++v) to[v] = 0;
    for (int64_t b = 0; b < blocks; ++b) {
      const int v = bin_of(from[b * kFrequencies]);
      if (v < kBins) to[v] += 1;
    }
  }
};

/// A Gaussian's weights at whole distances.
template <class A>
struct Gaussian {
  static constexpr int kMost = int(8 * kSpread);
  int reach;
  A weight[kMost + 1];
  explicit Gaussian(double spread) : reach(int(8 * spread)) {
    for (int d = 0; d <= kMost; ++d)
      weight[d] = A(std::exp(-d * d / (2 * spread * spread)) / (spread * std::sqrt(2 * std::numbers::pi)));
  }
  /// The counts, halved and mirrored, around v.
  TT_HD A around(const A* counts, int v) const {
    A sum = counts[0] * (v <= reach ? weight[v] : A(0));
    const int first = v - reach > 1 ? v - reach : 1, end = v + reach < kBins ? v + reach + 1 : kBins;
    for (int u = first; u < end; ++u) {
      const int near = u < v ? v - u : u - v;
      sum += counts[u] / 2 * (weight[near] + (u + v <= reach ? weight[u + v] : A(0)));
    }
    return sum;
  }
};

template <class A>
struct Ratio {
  const A* counts;
  A* ratios;
  int64_t blocks;
  Gaussian<A> fine, wide;
  TT_HD void operator()(int64_t i) const {
    const int64_t frequency = i / kBins;
    const int v = int(i - frequency * kBins);
    // Over h·w: it cancels from the ratio.
    const A p = fine.around(counts + frequency * kBins, v), e = wide.around(counts + frequency * kBins, v);
    const A ground = A(0.02) * e + A(0.02);
    ratios[i] = std::log((p + ground) / (e + ground)) * (v <= 1 ? A(0.3) : A(1));
  }
};

template <class T>
struct Look {
  using A = acc_t<T>;
  const A *c, *ratios;
  T* y;
  int64_t blocks;
  int channels;
  TT_HD void operator()(int64_t i) const {
    const int64_t block = i / kFrequencies, f = i - block * kFrequencies, n = block / blocks;
    const int v = bin_of(c[i]);
    y[block * channels + f] = store<T>(v < kBins ? ratios[(n * kFrequencies + f) * kBins + v] : A(0));
  }
};

void check_traces(const char* name, const Tensor& c, const Tensor& y, int first) {
  const Shape &from = c.shape, &to = y.shape;
  TT_CHECK(from.c == kFrequencies && to.n == from.n && to.h == from.h && to.w == from.w &&
               c.dtype == accumulator_of(y.dtype),
           ShapeError, name, ": coefficients ", to_string(from), " of ", name_of(c.dtype), " do not fit ",
           to_string(to), " of ", name_of(y.dtype));
  TT_CHECK(first >= 0 && first + kFrequencies <= to.c, ShapeError, name, ": channels from ", first, " do not fit into ",
           to_string(to));
}

}  // namespace

void block_coefficients(Stream& s, Tensor x, Tensor c) {
  const Shape &p = x.shape, want{p.n, p.h / kBlock, p.w / kBlock, kFrequencies};
  TT_CHECK(p.c == 3 && p.h % kBlock == 0 && p.w % kBlock == 0, ShapeError,
           "block_coefficients: expected pictures {N,H,W,3}, H and W multiples of 8, got ", to_string(p));
  TT_CHECK(c.shape == want && c.dtype == accumulator_of(x.dtype), ShapeError, "block_coefficients: c is ",
           to_string(c.shape), " of ", name_of(c.dtype), ", expected ", to_string(want), " of ",
           name_of(accumulator_of(x.dtype)));
  visit_float(x.dtype, [&]<class T>(Tag<T>) {
    using A = acc_t<T>;
    BlockRow<T> rows{x.as<const T>(), c.as<A>(), want.h, want.w, {}};
    for (int u = 0; u < kBlock; ++u)
      for (int r = 0; r < kBlock; ++r)
        rows.basis[u][r] = A((u ? 0.5 : std::sqrt(0.125)) * std::cos((2 * r + 1) * u * std::numbers::pi / 16));
    for_each(s, want.rows() * kBlock, rows, 4 * kFrequencies);
  });
}

void log_magnitude(Stream& s, Tensor c, Tensor y, int first) {
  check_traces("log_magnitude", c, y, first);
  visit_float(y.dtype, [&]<class T>(Tag<T>) {
    for_each(s, c.shape.numel(), LogMagnitude<T>{c.as<const acc_t<T>>(), y.as<T>() + first, y.shape.c}, 8);
  });
}

void coefficient_history(Stream& s, Tensor c, Tensor y, int first) {
  check_traces("coefficient_history", c, y, first);
  const int64_t blocks = int64_t(c.shape.h) * c.shape.w, frequencies = int64_t(c.shape.n) * kFrequencies;
  if (blocks * frequencies == 0) return;
  visit_float(y.dtype, [&]<class T>(Tag<T>) {
    using A = acc_t<T>;
    A* counts = s.workspace(size_t(2 * frequencies * kBins) * sizeof(A)).template as<A>();
    A* ratios = counts + frequencies * kBins;
    for_each(s, frequencies, Count<A>{c.as<const A>(), counts, blocks}, blocks);
    for_each(s, frequencies * kBins, Ratio<A>{counts, ratios, blocks, Gaussian<A>(kFineSpread), Gaussian<A>(kSpread)},
             2 * kBins);
    for_each(s, c.shape.numel(), Look<T>{c.as<const A>(), ratios, y.as<T>() + first, blocks, y.shape.c}, 4);
  });
}

}  // namespace telltale
