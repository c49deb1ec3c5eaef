#include "kernels/attention.h"
#include "kernels/core/attention_plan.h"
#include "kernels/core/chunk.h"
#include "kernels/core/launch.h"
#include "kernels/core/math.h"
#include "kernels/matmul.h"

namespace telltale::cuda {
namespace {

/// x {N,2h,2w,C} in T beside its four phases {N,4,h,w,C} in the accumulator type; one index is one number of x.
template <class T, bool Merge>
struct Phases {
  T* x;
  acc_t<T>* phases;
  int h, w, c;
  TT_HD void operator()(int64_t i) const {
    const int64_t pixel = divide(i, c), row = divide(pixel, 2 * w), n = divide(row, 2 * h);
    const int64_t y = row - n * (2 * h), column = pixel - row * (2 * w);
    const int64_t phase = y % 2 * 2 + column % 2;
    acc_t<T>& there = phases[(((n * kPhases + phase) * h + y / 2) * w + column / 2) * c + (i - pixel * c)];
    if constexpr (Merge) {
      x[i] = store<T>(there);
    } else {
      there = load(x[i]);
    }
  }
};

/// Per source l: 1 / sqrt(Σ over its patch's 9·C numbers of w² + 1e-4), and whether its patch of the mask is all 0.
template <class T>
struct SourceFacts {
  using A = acc_t<T>;
  const A* gram;
  const T* mask;
  A *inverse_norm, *valid;
  int h, w, c;
  TT_HD void operator()(int64_t index) const {
    const int places = h * w;
    const int64_t n = divide(index, places);
    const int l = int(index - n * places), i = l / w, j = l % w;
    const A* matrix = gram + n * places * places;
    const T* hole = mask + n * places * 4;
    A sum = A(9e-4) * A(c);  // zeros outside the image still add their 1e-4
    bool clear = true;
    for (int k = i > 0 ? i - 1 : 0; k <= i + 1 && k < h; ++k) {
      for (int m = j > 0 ? j - 1 : 0; m <= j + 1 && m < w; ++m) {
        sum += matrix[int64_t(k * w + m) * (places + 1)];
        clear = clear && load(hole[int64_t(2 * k) * (2 * w) + 2 * m]) == 0;
      }
    }
    inverse_norm[index] = 1 / A(sqrt(sum));
    valid[index] = clear ? 1 : 0;
  }
};

/// One element [n, q, l] of an L×L matrix.
struct Element {
  int64_t base;  // of the sample's matrix
  int64_t row;   // n · L + q
  int n, q, l;
  TT_HD Element(int64_t index, int places) {
    row = divide(index, places);
    l = int(index - row * places);
    n = int(divide(row, places));
    q = int(row - int64_t(n) * places);
    base = int64_t(n) * places * places;
  }
};

/// to[q, l] = Σ_d from[q+d, l+d] · factor[l], zero outside the image; a null factor is 1.
template <class A>
struct SumDiagonals {
  const A *from, *factor;
  A* to;
  int h, w;
  DiagonalWindow window;
  TT_HD void operator()(int64_t index) const {
    const int places = h * w;
    const Element e(index, places);
    const int qi = e.q / w, qj = e.q % w, li = e.l / w, lj = e.l % w;
    A sum = 0;
    for (int di = window.row_first; di <= window.row_last; ++di) {
      for (int dj = window.column_first; dj <= window.column_last; ++dj) {
        const bool inside = qi + di >= 0 && qi + di < h && qj + dj >= 0 && qj + dj < w && li + di >= 0 && li + di < h &&
                            lj + dj >= 0 && lj + dj < w;
        const int shift = di * w + dj;
        if (inside) sum += from[e.base + int64_t(e.q + shift) * places + e.l + shift];
      }
    }
    to[index] = factor ? sum * factor[int64_t(e.n) * places + e.l] : sum;
  }
};

/// Both fuses at once: three steps along column-major order, each of three steps along row-major order.
template <class A>
struct Fuse {
  const A* from;
  A* to;
  int h, w;
  /// The place a step further in column-major order, or −1.
  TT_HD int along_columns(int place, int step) const {
    const int at = place % w * h + place / w + step;
    return at < 0 || at >= h * w ? -1 : at % h * w + at / h;
  }
  TT_HD void operator()(int64_t index) const {
    const int places = h * w;
    const Element e(index, places);
    A sum = 0;
    for (int column_step = -1; column_step <= 1; ++column_step) {
      const int q = along_columns(e.q, column_step), l = along_columns(e.l, column_step);
      if (q < 0 || l < 0) continue;
      for (int d = -1; d <= 1; ++d) {
        if (q + d < 0 || q + d >= places || l + d < 0 || l + d >= places) continue;
        sum += from[e.base + int64_t(q + d) * places + l + d];
      }
    }
    to[index] = sum;
  }
};

constexpr int kSoftmaxLanes = 256;

/// One block per row [n, q]: to = softmax(scale · from · valid) · valid; an invalid source counts as exp(0) below.
template <class A>
struct MaskedSoftmax {
  struct Shared {
    A fold[kSoftmaxLanes];
  };
  const A *from, *valid;
  A* to;
  int places;
  A scale;
  TT_HD void operator()(const Block<kSoftmaxLanes>& block, Shared& shared) const {
    const A* source = from + block.index * places;
    A* target = to + block.index * places;
    const A* usable = valid + block.index / places * places;
    auto part = block.template lane<A>(-INFINITY);
    block.each([&](int t) {
      for (int l = t; l < places; l += kSoftmaxLanes) {
        const A v = scale * source[l] * usable[l];
        part[t] = v > part[t] ? v : part[t];
      }
    });
    const A highest = block.reduce(part, shared.fold, [](A a, A b) { return a > b ? a : b; });
    block.each([&](int t) {
      part[t] = 0;
      for (int l = t; l < places; l += kSoftmaxLanes) {
        const A below = scale * source[l] * usable[l] - highest;  // a fused multiply-add may leave it an ulp above 0
        const A e = exp_nonpositive(below > 0 ? A(0) : below);
        target[l] = e;
        part[t] += e;
      }
    });
    const A share = 1 / block.sum(part, shared.fold);
    block.each([&](int t) {
      for (int l = t; l < places; l += kSoftmaxLanes) target[l] *= share * usable[l];
    });
  }
};

template <class T>
void run(Stream& s, const AttentionArgs& a, const AttentionPlan& p) {
  using A = acc_t<T>;
  const auto part = [&](int64_t at) { return a.scratch.as<A>() + at; };
  A *phases = part(p.phases), *painted = part(p.painted), *scores = part(p.scores), *fused = part(p.fused);
  A *inverse_norm = part(p.inverse_norm), *valid = part(p.valid);
  const int places = int(p.places), h = p.h, w = p.w, c = p.channels;
  const int64_t elements = p.samples * p.matrix;

  for_each(s, a.x.shape.numel(), Phases<T, false>{a.x.as<T>(), phases, h, w, c});
  for (int n = 0; n < p.samples; ++n) {
    const A* f = phases + n * p.pixels;  // nearest shrinking keeps the even rows and columns: phase 0
    cuda::gemm(s, {.a = f,
                   .b = f,
                   .c = fused + n * p.matrix,
                   .dtype = dtype_v<A>,
                   .transpose_b = true,
                   .m = places,
                   .n = places,
                   .k = c,
                   .lda = c,
                   .ldb = c,
                   .ldc = places});
  }
  for_each(s, p.samples * p.places, SourceFacts<T>{fused, a.mask.as<T>(), inverse_norm, valid, h, w, c});
  for_each(s, elements, SumDiagonals<A>{fused, inverse_norm, scores, h, w, kPatchWindow});
  for_each(s, elements, Fuse<A>{scores, fused, h, w});
  launch<kSoftmaxLanes>(s, p.samples * p.places, MaskedSoftmax<A>{fused, valid, scores, places, A(a.scale)});
  for (int phase = 0; phase < kPhases; ++phase) {
    for_each(s, elements, SumDiagonals<A>{scores, nullptr, fused, h, w, paste_window(phase)});
    for (int n = 0; n < p.samples; ++n) {
      const int64_t pixels = n * p.pixels + phase * p.places * c;
      cuda::gemm(s, {.a = fused + n * p.matrix,
                     .b = phases + pixels,
                     .c = painted + pixels,
                     .dtype = dtype_v<A>,
                     .m = places,
                     .n = c,
                     .k = places,
                     .lda = places,
                     .ldb = c,
                     .ldc = c,
                     .alpha = 0.25});
    }
  }
  for_each(s, a.y.shape.numel(), Phases<T, true>{a.y.as<T>(), painted, h, w, c});
}

}  // namespace

size_t attention_scratch_bytes(const Shape& x, DType dtype, int) { return AttentionPlan(x, x.n).bytes(dtype); }

void attention_forward(Stream& s, const AttentionArgs& a) {
  check(a, attention_scratch_bytes(a.x.shape, a.x.dtype, a.rate));
  if (a.x.shape.numel() == 0) return;
  const AttentionPlan plan(a.x.shape, a.x.shape.n);
  TT_CHECK(plan.places < 32768, ShapeError, "attention: ", to_string(a.x.shape), " has more than 32767 places");
  visit_float(a.x.dtype, [&](auto tag) { run<typename decltype(tag)::type>(s, a, plan); });
}

}  // namespace telltale::cuda
