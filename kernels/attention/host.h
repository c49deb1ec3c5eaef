#pragma once
// One sample of contextual attention on the host: what forward and backward share. Rows of the L×L matrices are shared
// out among threads.
#include <algorithm>
#include <cmath>

#include "kernels/attention/attention.h"
#include "kernels/attention/plan.h"
#include "kernels/matmul/matmul.h"
#include "kernels/parts/math.h"

namespace telltale::cpu {

/// The match of one sample's places with each other. T: of x; sums are kept in A. Scratch is laid out by the plan.
template <class T>
class AttentionOnHost {
 public:
  using A = acc_t<T>;

 protected:
  AttentionOnHost(Stream& s, const Tensor& scratch, const AttentionPlan& plan, float scale, const AttentionForm& form)
      : stream_(s),
        plan_(plan),
        form_(form),
        scale_(A(scale)),
        scratch_(scratch.as<A>()),
        phases_(part(plan.phases)),
        painted_(part(plan.painted)),
        scores_(part(plan.scores)),
        fused_(part(plan.fused)),
        inverse_norm_(part(plan.inverse_norm)),
        valid_(part(plan.valid)),
        attention_(part(plan.attention)) {}

  A* part(int64_t at) const { return scratch_ + at; }
  /// {L, C} of one phase.
  A* phase(A* phases, int p) const { return phases + p * plan_.places * plan_.channels; }

  template <class F>
  void each_row(int64_t rows, const F& f) const {
#pragma omp parallel for num_threads(stream_.threads())
    for (int64_t r = 0; r < rows; ++r) f(r);
  }

  /// Calls f(pixel of the tensor, pixel of the phases, channels) for every pixel of a sample.
  template <class F>
  void each_pixel(Tensor t, int sample, A* phases, const F& f) const {
    each_row(int64_t(kPhases) * plan_.h, [&](int64_t r) {
      const int phase = int(r / plan_.h);
      for (int j = 0; j < plan_.w; ++j) {
        const int64_t row = int64_t(sample) * t.shape.h + 2 * (r % plan_.h) + phase / 2;
        f(t.as<T>() + (row * t.shape.w + 2 * j + phase % 2) * t.shape.c, phases + (r * plan_.w + j) * plan_.channels);
      }
    });
  }
  void split(Tensor from, int sample, A* phases) const {
    each_pixel(from, sample, phases, [&](const T* pixel, A* there) {
      for (int c = 0; c < plan_.channels; ++c) there[c] = load(pixel[c]);
    });
  }
  void merge(A* phases, Tensor to, int sample, bool accumulate = false) const {
    each_pixel(to, sample, phases, [&](T* pixel, const A* there) {
      for (int c = 0; c < plan_.channels; ++c) pixel[c] = store<T>(accumulate ? load(pixel[c]) + there[c] : there[c]);
    });
  }

  int64_t source(int i, int size) const { return shrunk_source(i, size, form_.aligned); }
  /// Calls f(a pixel of the phases, the pixel of {L, C} it is matched as) for every place.
  template <class F>
  void each_matched(A* phases, A* matched, const F& f) const {
    each_row(plan_.places, [&](int64_t l) {
      const int64_t row = source(int(l / plan_.w), plan_.h), column = source(int(l % plan_.w), plan_.w);
      const int p = int(row % 2 * 2 + column % 2);
      f(phase(phases, p) + l * plan_.channels, matched + l * plan_.channels);
    });
  }
  /// Shrunk x {L, C}. Plain shrinking keeps the even rows and columns: phase 0. Otherwise it is gathered where painted
  /// will be.
  const A* matched() const {
    if (!form_.aligned) return phases_;
    each_matched(phases_, painted_, [&](const A* from, A* to) { std::copy_n(from, plan_.channels, to); });
    return painted_;
  }

  /// valid = 1 where no pixel of the 3×3 patch of the nearest-shrunk mask is in the hole.
  void find_valid(const Tensor& masks, int sample) {
    const Shape& m = masks.shape;
    const T* mask = masks.as<T>() + int64_t(sample) * m.h * m.w;
    for (int i = 0; i < plan_.h; ++i) {
      for (int j = 0; j < plan_.w; ++j) {
        bool hole = false;
        for (int k = std::max(i - 1, 0); k <= std::min(i + 1, plan_.h - 1); ++k) {
          for (int l = std::max(j - 1, 0); l <= std::min(j + 1, plan_.w - 1); ++l)
            hole |= load(mask[source(k, plan_.h) * m.w + source(l, plan_.w)]) != 0;
        }
        valid_[int64_t(i) * plan_.w + j] = hole ? 0 : 1;
      }
    }
  }

  struct Product {
    const A *a, *b;
    A* c;
    int64_t n, k;
    bool transpose_a = false, transpose_b = false, add = false;
    double alpha = 1;
  };
  /// c {L, n} = alpha · a {L, k} · b {k, n}, either one transposed; `add`: + c.
  void multiply(const Product& p) const {
    cpu::gemm(stream_, {.a = p.a,
                        .b = p.b,
                        .c = p.c,
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
                        .beta = p.add ? 1.0 : 0.0});
  }

  /// to[l] += Σ_d from[q+d, l+d] over a window, zero outside the image.
  void add_diagonals(const A* from, A* to, int64_t q, const DiagonalWindow& window) const {
    const int h = plan_.h, w = plan_.w, qi = int(q / w), qj = int(q % w);
    for (int di = window.row_first; di <= window.row_last; ++di) {
      for (int dj = window.column_first; dj <= window.column_last; ++dj) {
        if (qi + di < 0 || qi + di >= h || qj + dj < 0 || qj + dj >= w) continue;
        const int64_t shift = int64_t(di) * w + dj;
        const A* row = from + (q + shift) * plan_.places + shift;
        const int first = std::max(0, -dj), last = std::min(w, w - dj);
        for (int64_t i = std::max(0, -di); i < std::min(h, h - di); ++i) {
          for (int64_t l = i * w + first; l < i * w + last; ++l) to[l] += row[l];
        }
      }
    }
  }
  void sum_diagonals(const A* from, A* to, int64_t q, const DiagonalWindow& window) const {
    std::fill_n(to, plan_.places, A(0));
    add_diagonals(from, to, q, window);
  }

  /// Calls f(neighbour) for the places of the 3×3 patch around l that lie in the image.
  template <class F>
  void each_neighbour(int64_t l, const F& f) const {
    const int64_t i = l / plan_.w, j = l % plan_.w;
    for (int64_t k = std::max<int64_t>(i - 1, 0); k <= std::min<int64_t>(i + 1, plan_.h - 1); ++k) {
      for (int64_t m = std::max<int64_t>(j - 1, 0); m <= std::min<int64_t>(j + 1, plan_.w - 1); ++m) f(k * plan_.w + m);
    }
  }

  /// scores[q, l] = <p_q, p_l / |p_l|>.
  void match() {
    const A* f = matched();
    multiply({.a = f, .b = f, .c = fused_, .n = plan_.places, .k = plan_.channels, .transpose_b = true});
    each_row(plan_.places, [&](int64_t l) {
      A sum = 0;
      each_neighbour(l, [&](int64_t k) { sum += fused_[k * (plan_.places + 1)]; });
      inverse_norm_[l] = inverse_norm(sum, plan_.channels, form_.clamped);
    });
    each_row(plan_.places, [&](int64_t q) {
      A* row = scores_ + q * plan_.places;
      sum_diagonals(fused_, row, q, kPatchWindow);
      for (int64_t l = 0; l < plan_.places; ++l) row[l] *= inverse_norm_[l];
    });
  }

  /// First fuse, of row q: along the diagonal of row-major order, wrapping from one row of the image to the next. Each
  /// fuse is its own transpose: backward runs them in the other order.
  void fuse_rows(const A* from, int64_t q, A* to) const {
    const int64_t places = plan_.places;
    const A* row = from + q * places;
    std::copy_n(row, places, to);
    if (q > 0) {
      for (int64_t l = 1; l < places; ++l) to[l] += row[l - 1 - places];
    }
    if (q + 1 < places) {
      for (int64_t l = 0; l + 1 < places; ++l) to[l] += row[l + 1 + places];
    }
  }

  /// Second fuse: the same along column-major order, where the neighbour below the last row is the next column's top.
  void fuse_columns(const A* from, int64_t q, A* to) const {
    const int64_t places = plan_.places, w = plan_.w, last_row = places - w;
    std::copy_n(from + q * places, places, to);
    if (q != 0) {
      const int64_t before = q >= w ? q - w : last_row + q - 1;
      const A* row = from + before * places;
      for (int64_t l = w; l < places; ++l) to[l] += row[l - w];
      for (int64_t l = 1; l < w; ++l) to[l] += row[last_row + l - 1];
    }
    if (q != places - 1) {
      const int64_t after = q < last_row ? q + w : q - last_row + 1;
      const A* row = from + after * places;
      for (int64_t l = 0; l < last_row; ++l) to[l] += row[l + w];
      for (int64_t l = last_row; l < places - 1; ++l) to[l] += row[l - last_row + 1];
    }
  }

  /// Row q becomes softmax(scale · row · valid) · valid: an invalid source still counts in the denominator, as exp(0).
  void normalise(A* row) const {
    const int64_t places = plan_.places;
    A highest = -INFINITY, sum = 0;
#pragma omp simd reduction(max : highest)
    for (int64_t l = 0; l < places; ++l) {
      row[l] *= scale_ * valid_[l];
      highest = std::max(highest, row[l]);
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t l = 0; l < places; ++l) {
      row[l] = exp_nonpositive(row[l] - highest);
      sum += row[l];
    }
    const A share = 1 / sum;
    for (int64_t l = 0; l < places; ++l) row[l] *= share * valid_[l];
  }

  /// scores to attention, which may be the same memory.
  void attend() {
    if (form_.fused) each_row(plan_.places, [&](int64_t q) { fuse_rows(scores_, q, fused_ + q * plan_.places); });
    each_row(plan_.places, [&](int64_t q) {
      A* row = attention_ + q * plan_.places;
      if (form_.fused) {
        fuse_columns(fused_, q, row);
      } else if (attention_ != scores_) {
        std::copy_n(scores_ + q * plan_.places, plan_.places, row);
      }
      normalise(row);
    });
  }

  Stream& stream_;
  const AttentionPlan& plan_;
  const AttentionForm form_;
  const A scale_;

 private:
  A* scratch_;

 protected:
  A *phases_, *painted_, *scores_, *fused_, *inverse_norm_, *valid_, *attention_;
};

}  // namespace telltale::cpu
