// Columns are transformed once for all grids, rows as they are counted. Memory is for some pictures at a time.
#include <cmath>
#include <numbers>

#include "kernels/device/launch.h"
#include "kernels/earlier_jpeg.h"
#include "kernels/parts/chunk.h"
#include "kernels/parts/jpeg_block.h"

namespace telltale {
namespace {

constexpr int kUs = kEarlierHighest + 1;
constexpr int kPairs = (kUs * (kUs + 1)) / 2 - 1;  ///< frequencies looked at
constexpr int kHalves = 2 * kMostEarlierSize;
constexpr int kBins = (kHalves + 1 + kChunk - 1) / kChunk * kChunk;
constexpr int kSteps = 96;  ///< one more than the largest step of the qualities tried
constexpr int kGrids = kBlock * kBlock;
constexpr int64_t kAtOnce = 32 << 20;  ///< bytes of workspace, about

constexpr uint8_t kAnnexK[kBlock][kBlock] = {{16, 11, 10, 16, 24, 40, 51, 61},     {12, 12, 14, 19, 26, 58, 60, 55},
                                             {14, 13, 16, 24, 40, 57, 69, 56},     {14, 17, 22, 29, 51, 87, 80, 62},
                                             {18, 22, 37, 56, 68, 109, 103, 77},   {24, 35, 55, 64, 81, 104, 113, 92},
                                             {49, 64, 78, 87, 103, 121, 120, 101}, {72, 92, 95, 98, 112, 100, 103, 99}};

/// What every kernel here looks up.
template <class A>
struct Constants {
  A basis[kUs][kBlock];
  uint8_t u[kPairs], v[kPairs];
  Constants() {
    for (int f = 0; f < kUs; ++f)
      for (int r = 0; r < kBlock; ++r)
        basis[f][r] = A((f ? 0.5 : std::sqrt(0.125)) * std::cos((2 * r + 1) * f * std::numbers::pi / 16));
    int at = 0;
    for (int a = 0; a < kUs; ++a)
      for (int b = a == 0; a + b < kUs; ++b) u[at] = uint8_t(a), v[at++] = uint8_t(b);
  }
};

/// Steps {quality, frequency}; they travel with a kernel's call.
struct Steps {
  uint8_t of[kEarlierQualities][kPairs];
  template <class A>
  explicit Steps(const Constants<A>& k) {
    for (int q = 0; q < kEarlierQualities; ++q)
      for (int f = 0; f < kPairs; ++f) of[q][f] = uint8_t(earlier_step(kLowestEarlierQuality + 2 * q, k.u[f], k.v[f]));
  }
};

/// Luma less 128.
template <class T>
struct Luma {
  using A = acc_t<T>;
  const T* x;
  A* y;
  TT_HD void operator()(int64_t i) const {
    const T* p = x + i * 3;
    y[i] = A(0.299) * load(p[0]) + A(0.587) * load(p[1]) + A(0.114) * load(p[2]) - A(128);
  }
};

/// columns {n,u,H,W}: the transform down the eight pixels from each; rows that reach out of the picture stay unwritten.
template <class A>
struct Columns {
  const A* luma;
  A* columns;
  int h, w;  ///< in pixels
  Constants<A> k;
  TT_HD void operator()(int64_t i) const {
    const int64_t chunks = w / kChunk, line = divide(i, int(chunks)), n = divide(line, h);
    const int y = int(line - n * h), x = int(i - line * chunks) * kChunk;
    if (y + kBlock > h) return;
    const A* from = luma + line * w + x;
    for (int u = 0; u < kUs; ++u) {
      Chunk<A> sums = chunk_of(A(0));
      for (int r = 0; r < kBlock; ++r)
        each_in_chunk([&](int j) { sums[j] += k.basis[u][r] * from[int64_t(r) * w + j]; });
      store_chunk(columns + ((n * kUs + u) * h + y) * w + x, sums, kChunk, false);
    }
  }
};

/// counts {n,ay,f,ax,bin}: an index has a row of grids and a frequency.
template <class A>
struct CountSizes {
  const A* columns;
  A* counts;
  int h, w, row_step;
  Constants<A> k;
  TT_HD static void add(A* bins, A c) {
    const A size = 2 * std::abs(c);
    if (!(size < A(kHalves))) return;
    const int bin = int(size);
    bins[bin] += 1 - (size - A(bin));
    bins[bin + 1] += size - A(bin);
  }
  TT_HD void operator()(int64_t i) const {
    const int64_t grid = i / kPairs, n = grid / kBlock;
    const int f = int(i - grid * kPairs), ay = int(grid - n * kBlock);
    A* bins = counts + i * kBlock * kBins;
    for (int b = 0; b < kBlock * kBins; ++b) bins[b] = 0;
    const A* basis = k.basis[k.v[f]];
    for (int y = ay; y + kBlock <= h; y += row_step) {
      const A* row = columns + ((n * kUs + k.u[f]) * h + y) * w;
      for (int x = 0; x + kBlock < w; x += kBlock) {
        Chunk<A> sums = chunk_of(A(0));
        for (int r = 0; r < kBlock; ++r) each_in_chunk([&](int j) { sums[j] += basis[r] * row[x + r + j]; });
        for (int ax = 0; ax < kBlock; ++ax) add(bins + ax * kBins, sums[ax]);
      }
      A last = 0;  // block of the row: whole on the grid from column 0 alone
      for (int r = 0; r < kBlock; ++r) last += basis[r] * row[w - kBlock + r];
      add(bins, last);
    }
  }
};

/// waves {step,2,bin}: the cosine, and 1, at the bins that a step is judged by; 0 elsewhere.
/// cos(π·a/b). A GPU's cosine of any number of radians takes a stack for the largest of them.
template <class A>
TT_HD A cosine_of(A a, int b) {
#ifdef __CUDA_ARCH__
  return cospi(a / A(b));
#else
  return std::cos(A(std::numbers::pi) * a / A(b));
#endif
}

template <class A>
struct Waves {
  A* waves;
  TT_HD void operator()(int64_t i) const {
    const int t = int(i / kBins), m = int(i - int64_t(t) * kBins);
    const bool counts = t >= kLeastEarlierStep && m <= kHalves && 5 * m >= 6 * t;
    waves[(t * 2) * kBins + m] = counts ? A(cosine_of(double(m), t)) : A(0);
    waves[(t * 2 + 1) * kBins + m] = counts ? A(1) : A(0);
  }
};

template <class A>
struct Evidence {
  const A *counts, *waves;
  A* evidence;  ///< {n,ay,ax,q}
  Steps steps;
  TT_HD void operator()(int64_t i) const {
    const int64_t grid = i / kEarlierQualities, rows = grid / kBlock;
    const int q = int(i - grid * kEarlierQualities), ax = int(grid - rows * kBlock);
    Chunk<A> wave = chunk_of(A(0)), count = chunk_of(A(0));
    for (int f = 0; f < kPairs; ++f) {
      const int t = steps.of[q][f];
      if (t < kLeastEarlierStep) continue;
      const A* h = counts + ((rows * kPairs + f) * kBlock + ax) * kBins;
      const A* c = waves + int64_t(t) * 2 * kBins;
      for (int m = 6 * t / 5 / kChunk * kChunk; m < kBins; m += kChunk)
        each_in_chunk([&](int j) {
          wave[j] += h[m + j] * c[m + j];
          count[j] += h[m + j] * c[kBins + m + j];
        });
    }
    A sum = 0, n = 0;
    for (int j = 0; j < kChunk; ++j) sum += wave[j], n += count[j];
    evidence[i] = n < A(kLeastEarlierCount) ? A(0) : A(std::sqrt(2 / n)) * sum;
  }
};

template <class A>
struct Found {
  A gate;
  int ay, ax, q;
};

template <class A>
struct Choose {
  const A* evidence;
  Found<A>* found;
  TT_HD void operator()(int64_t n) const {
    const A* e = evidence + n * kGrids * kEarlierQualities;
    A best = 0, next = 0;
    int grid = 1, quality = 0;
    for (int g = 1; g < kGrids; ++g) {
      A most = 0;
      int q = 0;
      for (int k = 0; k < kEarlierQualities; ++k)
        if (e[g * kEarlierQualities + k] > most) most = e[g * kEarlierQualities + k], q = k;
      if (most > best)
        next = best, best = most, grid = g, quality = q;
      else if (most > next)
        next = most;
    }
    const A margin = (best - next - 1) / 4;
    found[n] = {margin < 0 ? A(0) : margin > 1 ? A(1) : margin, grid / kBlock, grid % kBlock, quality};
  }
};

constexpr int kKept = 5;  ///< of a block: waves and weights of the two bands, the small ones' mean

template <class A>
struct Keep {
  const A* columns;
  const Found<A>* found;
  A* kept;  ///< {n,h,w,5}
  int h, w;
  Constants<A> k;
  Steps steps;
  TT_HD void operator()(int64_t i) const {
    const int across = w / kBlock, down = h / kBlock;
    const int64_t line = divide(i, across), n = divide(line, down);
    const Found<A> at = found[n];
    const int y = int(line - n * down) * kBlock + (at.ay > 4 ? at.ay - kBlock : at.ay),
              x = int(i - line * across) * kBlock + (at.ax > 4 ? at.ax - kBlock : at.ax);
    A* to = kept + i * kKept;
    for (int b = 0; b < kKept; ++b) to[b] = 0;
    if (at.gate == 0 || y < 0 || x < 0 || y + kBlock > h || x + kBlock > w) return;
    A small = 0, smalls = 1;
    for (int f = 0; f < kPairs; ++f) {
      const int t = steps.of[at.q][f];
      if (t < kLeastEarlierStep) continue;
      const A* row = columns + ((n * kUs + k.u[f]) * h + y) * w + x;
      A c = 0;
      for (int r = 0; r < kBlock; ++r) c += k.basis[k.v[f]][r] * row[r];
      const A periods = std::abs(c) / A(t), ramp = 4 * periods - 2, weight = ramp < 0 ? A(0) : ramp > 1 ? A(1) : ramp;
      const A wave = cosine_of(2 * (periods - std::floor(periods)), 1);
      const int band = k.u[f] + k.v[f] <= 3 ? 0 : 2;
      to[band] += weight * wave;
      to[band + 1] += weight;
      small += (1 - weight) * wave;
      smalls += 1 - weight;
    }
    to[4] = small / smalls;
  }
};

template <class T>
struct Tell {
  using A = acc_t<T>;
  const A* kept;
  const Found<A>* found;
  T* y;
  int h, w, channels;  ///< in blocks
  TT_HD A around(int64_t n, int row, int column, int reach) const {
    A wave = 0, weight = 2;
    for (int i = row > reach ? row - reach : 0; i <= row + reach && i < h; ++i)
      for (int j = column > reach ? column - reach : 0; j <= column + reach && j < w; ++j) {
        const A* from = kept + ((n * h + i) * w + j) * kKept;
        wave += from[0] + from[2];
        weight += from[1] + from[3];
      }
    return 2 * wave / weight;
  }
  TT_HD void operator()(int64_t i) const {
    const int64_t line = divide(i, w), n = divide(line, h);
    const int row = int(line - n * h), column = int(i - line * w);
    const A gate = found[n].gate;
    const A* from = kept + i * kKept;
    T* to = y + i * channels;
    for (int b = 0; b < 4; ++b) to[b] = store<T>(gate * from[b] / 4);
    to[4] = store<T>(gate * from[4]);
    to[5] = store<T>(gate == 0 ? A(0) : gate * around(n, row, column, 1));
    to[6] = store<T>(gate == 0 ? A(0) : gate * around(n, row, column, 3));
    to[7] = store<T>(gate);
  }
};

}  // namespace

int earlier_step(int quality, int u, int v) {
  TT_CHECK(quality >= 1 && quality <= 100 && u >= 0 && v >= 0 && u < kBlock && v < kBlock, UsageError,
           "earlier_step: no step of quality ", quality, " at ", u, ", ", v);
  const int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  return std::clamp((kAnnexK[u][v] * scale + 50) / 100, 1, 255);
}

void earlier_jpeg(Stream& s, Tensor x, Tensor y, int first) {
  const Shape &p = x.shape, &to = y.shape;
  TT_CHECK(p.c == 3 && p.h % kBlock == 0 && p.w % kBlock == 0, ShapeError,
           "earlier_jpeg: expected pictures {N,H,W,3}, H and W multiples of 8, got ", to_string(p));
  TT_CHECK(to.n == p.n && to.h == p.h / kBlock && to.w == p.w / kBlock && y.dtype == x.dtype && first >= 0 &&
               first + kEarlierTraces <= to.c,
           ShapeError, "earlier_jpeg: ", kEarlierTraces, " channels from ", first, " of pictures ", to_string(p),
           " do not fit into ", to_string(to), " of ", name_of(y.dtype));
  if (p.rows() == 0) return;
  visit_float(x.dtype, [&]<class T>(Tag<T>) {
    using A = acc_t<T>;
    const Constants<A> k;
    const Steps steps(k);
    const int64_t pixels = int64_t(p.h) * p.w, blocks = pixels / kGrids;
    const int64_t counted = int64_t(kGrids) * kPairs * kBins, tried = int64_t(kGrids) * kEarlierQualities;
    const int64_t numbers = pixels * (1 + kUs) + counted + tried + blocks * kKept, table = int64_t(kSteps) * 2 * kBins;
    const int row_step = blocks > kAllCounted ? 2 * kBlock : kBlock;
    const int group = int(std::clamp<int64_t>(kAtOnce / (numbers * int64_t(sizeof(A))), 1, p.n));
    A* waves =
        s.workspace(size_t(group * numbers + table) * sizeof(A) + size_t(group) * sizeof(Found<A>)).template as<A>();
    A* luma = waves + table;
    A* columns = luma + group * pixels;
    A* counts = columns + group * pixels * kUs;
    A* evidence = counts + group * counted;
    A* kept = evidence + group * tried;
    auto* found = reinterpret_cast<Found<A>*>(kept + group * blocks * kKept);
    for_each(s, int64_t(kSteps) * kBins, Waves<A>{waves}, 16);
    for (int at = 0; at < p.n; at += group) {
      const int64_t n = std::min(group, p.n - at);
      for_each(s, n * pixels, Luma<T>{x.as<const T>() + at * pixels * 3, luma}, 4);
      for_each(s, n * pixels / kChunk, Columns<A>{luma, columns, p.h, p.w, k}, kUs * kBlock * kChunk);
      for_each(s, n * kBlock * kPairs, CountSizes<A>{columns, counts, p.h, p.w, row_step, k}, pixels);
      for_each(s, n * tried, Evidence<A>{counts, waves, evidence, steps}, kPairs * kBins);
      for_each(s, n, Choose<A>{evidence, found}, tried);
      for_each(s, n * blocks, Keep<A>{columns, found, kept, p.h, p.w, k, steps}, kPairs * kBlock);
      for_each(s, n * blocks, Tell<T>{kept, found, y.as<T>() + at * blocks * to.c + first, to.h, to.w, to.c},
               64 * kKept);
    }
  });
}

}  // namespace telltale
