#pragma once
// What contextual attention's forward and backward share on the device. All intermediates of a batch stand side by side
// in scratch.
#include "kernels/attention/attention.h"
#include "kernels/attention/plan.h"
#include "kernels/device/launch.h"
#include "kernels/matmul/matmul.h"
#include "kernels/parts/chunk.h"
#include "kernels/parts/math.h"

namespace telltale::cuda {

enum class Move : uint8_t { split, merge, add };

/// x {N,2h,2w,C} in T beside its four phases {N,4,h,w,C} in the accumulator type; one index is one number of x.
template <class T, Move kMove>
struct Phases {
  T* x;
  acc_t<T>* phases;
  int h, w, c;
  TT_HD void operator()(int64_t i) const {
    const int64_t pixel = divide(i, c), row = divide(pixel, 2 * w), n = divide(row, 2 * h);
    const int64_t y = row - n * (2 * h), column = pixel - row * (2 * w);
    const int64_t phase = y % 2 * 2 + column % 2;
    acc_t<T>& there = phases[(((n * kPhases + phase) * h + y / 2) * w + column / 2) * c + (i - pixel * c)];
    if constexpr (kMove == Move::split) {
      there = load(x[i]);
    } else {
      x[i] = store<T>(kMove == Move::add ? load(x[i]) + there : there);
    }
  }
};

enum class Match : uint8_t { gather, scatter };

/// Shrunk x {N,L,C} taken from the phases, or its gradients added to theirs; one index is one number of it.
template <class A, Match kMatch>
struct Matched {
  A *phases, *matched;
  int h, w, c;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t place = divide(i, c), row = divide(place, w), n = divide(row, h);
    const int y = int(row - n * h), x = int(place - row * w);
    const int phase = shrunk_source(y, h, aligned) % 2 * 2 + shrunk_source(x, w, aligned) % 2;
    A& there = phases[(((n * kPhases + phase) * h + y) * w + x) * c + (i - place * c)];
    if constexpr (kMatch == Match::gather) {
      matched[i] = there;
    } else {
      there += matched[i];
    }
  }
};

/// Per source l: what its patch is divided by, inverted, and whether its patch of the mask is all 0.
template <class T>
struct SourceFacts {
  using A = acc_t<T>;
  const A* gram;
  const T* mask;
  A *inverse_norm, *valid;
  int h, w, c;
  AttentionForm form;
  TT_HD void operator()(int64_t index) const {
    const int places = h * w;
    const int64_t n = divide(index, places);
    const int l = int(index - n * places), i = l / w, j = l % w;
    const A* matrix = gram + n * places * places;
    const T* hole = mask + n * places * 4;
    A sum = 0;
    bool clear = true;
    for (int k = i > 0 ? i - 1 : 0; k <= i + 1 && k < h; ++k) {
      const int64_t row = int64_t(shrunk_source(k, h, form.aligned)) * (2 * w);
      for (int m = j > 0 ? j - 1 : 0; m <= j + 1 && m < w; ++m) {
        sum += matrix[int64_t(k * w + m) * (places + 1)];
        clear = clear && load(hole[row + shrunk_source(m, w, form.aligned)]) == 0;
      }
    }
    inverse_norm[index] = telltale::inverse_norm(sum, c, form.clamped);
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

/// Both fuses at once: three steps along column-major order, each of three steps along row-major order. Either is its
/// own transpose, so backward takes them in the other order.
template <class A, Pass kPass>
struct Fuse {
  const A* from;
  A* to;
  int h, w;
  /// The place d further in column-major or row-major order, or −1.
  TT_HD int step(int place, int d, bool along_columns) const {
    const int at = (along_columns ? place % w * h + place / w : place) + d;
    return at < 0 || at >= h * w ? -1 : along_columns ? at % h * w + at / h : at;
  }
  TT_HD void operator()(int64_t index) const {
    const int places = h * w;
    const Element e(index, places);
    A sum = 0;
    for (int outer = -1; outer <= 1; ++outer) {
      const int q = step(e.q, outer, kPass == Pass::forward), l = step(e.l, outer, kPass == Pass::forward);
      if (q < 0 || l < 0) continue;
      for (int inner = -1; inner <= 1; ++inner) {
        const int from_q = step(q, inner, kPass == Pass::backward), from_l = step(l, inner, kPass == Pass::backward);
        if (from_q >= 0 && from_l >= 0) sum += from[e.base + int64_t(from_q) * places + from_l];
      }
    }
    to[index] = sum;
  }
};

constexpr int kSoftmaxLanes = 256;

/// One block per row [n, q]: to = softmax(scale · from · valid) · valid, in place or not; an invalid source counts as
/// exp(0) below.
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

/// A matrix of every sample, `stride` elements from one sample's to the next's.
struct PlacesOperand {
  void* first;
  int64_t stride;
};
/// Every sample's product. Not in the class below: nvcc wants designated initialisers of plain types.
struct PlacesProduct {
  PlacesOperand a, b, c;
  int64_t n, k;
  bool transpose_a = false, transpose_b = false, add = false;
  double alpha = 1;
};

/// Scratch of a whole batch by its parts, and the steps that both passes begin with.
template <class T>
class AttentionOnDevice {
 public:
  using A = acc_t<T>;
  AttentionOnDevice(Stream& s, const Tensor& scratch, const AttentionPlan& plan, const AttentionForm& form)
      : stream_(s), plan_(plan), form_(form), scratch_(scratch.as<A>()), h_(plan.h), w_(plan.w), c_(plan.channels) {}

 protected:
  A* part(int64_t at) const { return scratch_ + at; }
  int64_t elements() const { return plan_.samples * plan_.matrix; }

  template <Move kMove>
  void phases(Tensor x, A* phases) const {
    for_each(stream_, x.shape.numel(), Phases<T, kMove>{x.as<T>(), phases, h_, w_, c_});
  }

  /// The samples' {L, L} matrices of a part, and their {L, C} of phase p.
  PlacesOperand matrices(int64_t at) const { return {part(at), plan_.matrix}; }
  PlacesOperand phase(int64_t at, int p) const { return {part(at) + p * plan_.places * c_, plan_.pixels}; }
  int64_t matched_elements() const { return plan_.samples * plan_.places * c_; }

  /// c {L, n} = alpha · a {L, k} · b {k, n}, either one transposed; `add`: + c. Numbers that came in 16 bits lose
  /// nothing in TF32, and what is computed from them ends in 16 bits.
  void multiply(const PlacesProduct& p) const {
    cuda::gemm(stream_, {.a = p.a.first,
                         .b = p.b.first,
                         .c = p.c.first,
                         .dtype = dtype_v<A>,
                         .transpose_a = p.transpose_a,
                         .transpose_b = p.transpose_b,
                         .m = plan_.places,
                         .n = p.n,
                         .k = p.k,
                         .lda = p.transpose_a ? plan_.places : p.k,
                         .ldb = p.transpose_b ? p.k : p.n,
                         .ldc = p.n,
                         .alpha = p.alpha,
                         .beta = p.add ? 1.0 : 0.0,
                         .batch = plan_.samples,
                         .stride_a = p.a.stride,
                         .stride_b = p.b.stride,
                         .stride_c = p.c.stride,
                         .tf32 = sizeof(T) == 2});
  }

  /// Shrunk x {L, C}. Plain shrinking keeps the even rows and columns: phase 0. Otherwise it is gathered where painted
  /// will be.
  PlacesOperand matched() const {
    if (!form_.aligned) return phase(plan_.phases, 0);
    for_each(stream_, matched_elements(),
             Matched<A, Match::gather>{part(plan_.phases), part(plan_.painted), h_, w_, c_, true});
    return {part(plan_.painted), plan_.places * c_};
  }

  /// x and mask to scores, and those to attention, which may be the same memory; `fused` is overwritten.
  void attend(Tensor x, Tensor mask, float scale) const {
    A *fused = part(plan_.fused), *scores = part(plan_.scores);
    A *inverse_norm = part(plan_.inverse_norm), *valid = part(plan_.valid);
    phases<Move::split>(x, part(plan_.phases));
    const PlacesOperand f = matched();
    multiply({.a = f, .b = f, .c = matrices(plan_.fused), .n = plan_.places, .k = c_, .transpose_b = true});
    for_each(stream_, plan_.samples * plan_.places,
             SourceFacts<T>{fused, mask.as<T>(), inverse_norm, valid, h_, w_, c_, form_});
    for_each(stream_, elements(), SumDiagonals<A>{fused, inverse_norm, scores, h_, w_, kPatchWindow});
    if (form_.fused) for_each(stream_, elements(), Fuse<A, Pass::forward>{scores, fused, h_, w_});
    launch<kSoftmaxLanes>(
        stream_, plan_.samples * plan_.places,
        MaskedSoftmax<A>{form_.fused ? fused : scores, valid, part(plan_.attention), int(plan_.places), A(scale)});
  }

  Stream& stream_;
  const AttentionPlan& plan_;
  const AttentionForm form_;
  A* scratch_;
  const int h_, w_, c_;
};

/// The kernels count places in 32 bits.
inline void check_places(const Tensor& x, const AttentionPlan& plan) {
  TT_CHECK(plan.places < 32768, ShapeError, "attention: ", to_string(x.shape), " has more than 32767 places");
}

}  // namespace telltale::cuda
