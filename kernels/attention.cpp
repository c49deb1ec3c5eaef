#include "kernels/attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/core/attention_plan.h"
#include "kernels/core/math.h"
#include "kernels/matmul.h"

namespace telltale {

void check(const AttentionArgs& a, size_t scratch_bytes) {
  const Shape &x = a.x.shape, &m = a.mask.shape;
  TT_CHECK(a.rate == 2, ShapeError, "attention: only rate 2 is implemented, got ", a.rate);
  TT_CHECK(x.h % 2 == 0 && x.w % 2 == 0, ShapeError, "attention: height and width must be even, got ", to_string(x));
  TT_CHECK(a.y.shape == x && a.y.dtype == a.x.dtype, ShapeError, "attention: y is ", to_string(a.y.shape), " of ",
           name_of(a.y.dtype), ", x ", to_string(x), " of ", name_of(a.x.dtype));
  TT_CHECK((m == Shape{x.n, x.h, x.w, 1}) && a.mask.dtype == a.x.dtype, ShapeError, "attention: mask is ", to_string(m),
           " of ", name_of(a.mask.dtype), ", it must be one channel of x's size and type ", name_of(a.x.dtype));
  TT_CHECK(a.scratch.bytes() >= scratch_bytes, ShapeError, "attention: scratch has ", a.scratch.bytes(), " bytes of ",
           scratch_bytes);
}

namespace cpu {
namespace {

/// One sample on the host: rows of the L×L matrices are shared out among threads.
template <class T>
class Attention {
  using A = acc_t<T>;

 public:
  Attention(Stream& s, const AttentionArgs& a, const AttentionPlan& plan)
      : stream_(s),
        args_(a),
        plan_(plan),
        phases_(part(plan.phases)),
        painted_(part(plan.painted)),
        scores_(part(plan.scores)),
        fused_(part(plan.fused)),
        inverse_norm_(part(plan.inverse_norm)),
        valid_(part(plan.valid)) {}

  void run(int sample) {
    split(sample);
    find_valid(sample);
    match();
    fuse_and_normalise();
    paste();
    merge(sample);
  }

 private:
  A* part(int64_t at) const { return args_.scratch.as<A>() + at; }

  template <class F>
  void each_row(int64_t rows, const F& f) {
#pragma omp parallel for num_threads(stream_.threads())
    for (int64_t r = 0; r < rows; ++r) f(r);
  }

  /// Where pixel (i, j) of a phase of a sample lies in x or y.
  int64_t source(int sample, int phase, int64_t i, int64_t j) const {
    const Shape& x = args_.x.shape;
    return ((int64_t(sample) * x.h + 2 * i + phase / 2) * x.w + 2 * j + phase % 2) * x.c;
  }

  void split(int sample) {
    each_row(int64_t(kPhases) * plan_.h, [&](int64_t r) {
      const int phase = int(r / plan_.h);
      for (int j = 0; j < plan_.w; ++j) {
        const T* from = args_.x.as<T>() + source(sample, phase, r % plan_.h, j);
        A* to = phases_ + (r * plan_.w + j) * plan_.channels;
        for (int c = 0; c < plan_.channels; ++c) to[c] = load(from[c]);
      }
    });
  }

  void merge(int sample) {
    each_row(int64_t(kPhases) * plan_.h, [&](int64_t r) {
      const int phase = int(r / plan_.h);
      for (int j = 0; j < plan_.w; ++j) {
        const A* from = painted_ + (r * plan_.w + j) * plan_.channels;
        T* to = args_.y.as<T>() + source(sample, phase, r % plan_.h, j);
        for (int c = 0; c < plan_.channels; ++c) to[c] = store<T>(from[c]);
      }
    });
  }

  /// valid = 1 where no pixel of the 3×3 patch of the nearest-shrunk mask is in the hole.
  void find_valid(int sample) {
    const Shape& m = args_.mask.shape;
    const T* mask = args_.mask.as<T>() + int64_t(sample) * m.h * m.w;
    for (int i = 0; i < plan_.h; ++i) {
      for (int j = 0; j < plan_.w; ++j) {
        bool hole = false;
        for (int k = std::max(i - 1, 0); k <= std::min(i + 1, plan_.h - 1); ++k) {
          for (int l = std::max(j - 1, 0); l <= std::min(j + 1, plan_.w - 1); ++l)
            hole |= load(mask[int64_t(2 * k) * m.w + 2 * l]) != 0;
        }
        valid_[int64_t(i) * plan_.w + j] = hole ? 0 : 1;
      }
    }
  }

  /// c = alpha · a {L, k} · b, with b {k, C}, or {L, k} transposed.
  void multiply(const A* a, const A* b, bool transpose_b, A* c, int64_t n, int64_t k, double alpha) {
    cpu::gemm(stream_, {.a = a,
                        .b = b,
                        .c = c,
                        .dtype = dtype_v<A>,
                        .transpose_b = transpose_b,
                        .m = plan_.places,
                        .n = n,
                        .k = k,
                        .lda = k,
                        .ldb = transpose_b ? k : n,
                        .ldc = n,
                        .alpha = alpha});
  }

  /// to[l] = Σ_d from[q+d, l+d] over a window, zero outside the image.
  void sum_diagonals(const A* from, A* to, int64_t q, const DiagonalWindow& window) const {
    const int h = plan_.h, w = plan_.w, qi = int(q / w), qj = int(q % w);
    std::fill_n(to, plan_.places, A(0));
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

  void match() {
    const A* f = phases_;  // nearest shrinking keeps the even rows and columns: phase 0
    multiply(f, f, true, fused_, plan_.places, plan_.channels, 1);
    each_row(plan_.places, [&](int64_t l) {
      // Σ over the patch's 9·C numbers of w² + 1e-4; those outside the image are zeros but still add 1e-4.
      const int64_t i = l / plan_.w, j = l % plan_.w;
      A sum = A(9e-4) * A(plan_.channels);
      for (int64_t k = std::max<int64_t>(i - 1, 0); k <= std::min<int64_t>(i + 1, plan_.h - 1); ++k) {
        for (int64_t m = std::max<int64_t>(j - 1, 0); m <= std::min<int64_t>(j + 1, plan_.w - 1); ++m)
          sum += fused_[(k * plan_.w + m) * (plan_.places + 1)];
      }
      inverse_norm_[l] = 1 / std::sqrt(sum);
    });
    each_row(plan_.places, [&](int64_t q) {
      A* row = scores_ + q * plan_.places;
      sum_diagonals(fused_, row, q, kPatchWindow);
      for (int64_t l = 0; l < plan_.places; ++l) row[l] *= inverse_norm_[l];
    });
  }

  /// First fuse: along the diagonal of row-major order, wrapping from one row of the image to the next.
  void fuse_rows(int64_t q, A* to) const {
    const int64_t places = plan_.places;
    const A* row = scores_ + q * places;
    std::copy_n(row, places, to);
    if (q > 0) {
      for (int64_t l = 1; l < places; ++l) to[l] += row[l - 1 - places];
    }
    if (q + 1 < places) {
      for (int64_t l = 0; l + 1 < places; ++l) to[l] += row[l + 1 + places];
    }
  }

  /// Second fuse: the same along column-major order, where the neighbour below the last row is the next column's top.
  void fuse_columns(int64_t q, A* to) const {
    const int64_t places = plan_.places, w = plan_.w, last_row = places - w;
    std::copy_n(fused_ + q * places, places, to);
    if (q != 0) {
      const int64_t before = q >= w ? q - w : last_row + q - 1;
      const A* row = fused_ + before * places;
      for (int64_t l = w; l < places; ++l) to[l] += row[l - w];
      for (int64_t l = 1; l < w; ++l) to[l] += row[last_row + l - 1];
    }
    if (q != places - 1) {
      const int64_t after = q < last_row ? q + w : q - last_row + 1;
      const A* row = fused_ + after * places;
      for (int64_t l = 0; l < last_row; ++l) to[l] += row[l + w];
      for (int64_t l = last_row; l < places - 1; ++l) to[l] += row[l - last_row + 1];
    }
  }

  /// Row q becomes softmax(scale · row · valid) · valid: an invalid source still counts in the denominator, as exp(0).
  void normalise(A* row) const {
    const int64_t places = plan_.places;
    const A scale = A(args_.scale);
    A highest = -INFINITY, sum = 0;
#pragma omp simd reduction(max : highest)
    for (int64_t l = 0; l < places; ++l) {
      row[l] *= scale * valid_[l];
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

  void fuse_and_normalise() {
    each_row(plan_.places, [&](int64_t q) { fuse_rows(q, fused_ + q * plan_.places); });
    each_row(plan_.places, [&](int64_t q) {
      A* row = scores_ + q * plan_.places;
      fuse_columns(q, row);
      normalise(row);
    });
  }

  void paste() {
    const int64_t one = plan_.places * plan_.channels;
    for (int phase = 0; phase < kPhases; ++phase) {
      const DiagonalWindow window = paste_window(phase);
      each_row(plan_.places, [&](int64_t q) { sum_diagonals(scores_, fused_ + q * plan_.places, q, window); });
      multiply(fused_, phases_ + phase * one, false, painted_ + phase * one, plan_.channels, plan_.places, 0.25);
    }
  }

  Stream& stream_;
  const AttentionArgs& args_;
  const AttentionPlan& plan_;
  A *phases_, *painted_, *scores_, *fused_, *inverse_norm_, *valid_;
};

}  // namespace

size_t attention_scratch_bytes(const Shape& x, DType dtype, int) { return AttentionPlan(x, 1).bytes(dtype); }

void attention_forward(Stream& s, const AttentionArgs& a) {
  check(a, attention_scratch_bytes(a.x.shape, a.x.dtype, a.rate));
  if (a.x.shape.numel() == 0) return;
  const AttentionPlan plan(a.x.shape, 1);
  visit_float(a.x.dtype, [&](auto tag) {
    Attention<typename decltype(tag)::type> attention(s, a, plan);
    for (int sample = 0; sample < a.x.shape.n; ++sample) attention.run(sample);
  });
}

}  // namespace cpu
}  // namespace telltale
