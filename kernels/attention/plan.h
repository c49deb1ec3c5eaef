#pragma once
// How contextual attention is computed by both twins: the same numbers as its definition, by a fifth of the arithmetic.
//
// Matching: a dot product of two 3×3 patches is the sum of nine dot products of pixels,
//   <p_l, p_q> = Σ_d <f[l+d], f[q+d]> = Σ_d gram[q+d, l+d],
// so one L×L×C product and a nine-tap sum along diagonals replace an L×L×9C product. Pasting: 4×4 patches at stride 2
// put pixels of x of one phase (row parity, column parity) on pixels of y of that phase, so per phase
//   y[q] = ¼ Σ_l (Σ_d a[q+d, l+d]) · x[l],   d over {0, −1} for even rows and {0, +1} for odd ones, columns alike,
// which is four L×L×C products in place of L×L×16C. Matrices here have a query q a row and a source l a column.
#include <cmath>

#include "kernels/device/half.h"

namespace telltale {

/// Which neighbours d = (row, column) a sum along diagonals takes.
struct DiagonalWindow {
  int row_first, row_last, column_first, column_last;
};
constexpr DiagonalWindow kPatchWindow = {-1, 1, -1, 1};
/// What a sum over `w` becomes in backward.
constexpr DiagonalWindow mirrored(const DiagonalWindow& w) {
  return {-w.row_last, -w.row_first, -w.column_last, -w.column_first};
}
constexpr int kPhases = 4;  // row parity · 2 + column parity
constexpr DiagonalWindow paste_window(int phase) {
  const int row = phase / 2 ? 1 : -1, column = phase % 2 ? 1 : -1;
  return {row < 0 ? row : 0, row > 0 ? row : 0, column < 0 ? column : 0, column > 0 ? column : 0};
}

/// Which of 2·size rows (or columns) stands for row i where patches are matched. Aligned corners: the one nearest to
/// i·(2·size − 1)/(size − 1) = 2i + i/(size − 1).
TT_HD constexpr int shrunk_source(int i, int size, bool aligned) {
  return 2 * i + (aligned && size > 1 && 2 * i >= size - 1 ? 1 : 0);
}

/// What a patch of 9·channels numbers is divided by, inverted, given the sum of those in the image squared. Clamped: at
/// least 1e-4; otherwise every number, zeros outside the image too, adds 1e-4 to the sum.
template <class A>
TT_HD A inverse_norm(A sum, int channels, bool clamped) {
  if (!clamped) return 1 / A(sqrt(sum + A(9e-4) * A(channels)));
  return 1 / (A(sqrt(sum)) > A(1e-4) ? A(sqrt(sum)) : A(1e-4));
}
/// Its gradient by the sum, divided by itself: −½ /norm², or 0 where the clamp holds it.
template <class A>
TT_HD A inverse_norm_gradient(A inverse_norm, bool clamped) {
  return clamped && inverse_norm >= 1 / A(1e-4) ? A(0) : A(-0.5) * inverse_norm * inverse_norm;
}

enum class Pass : uint8_t { forward, backward };

/// Sizes at the matching resolution, and where each intermediate lies in scratch: elements of A = acc_t of x's type,
/// `samples` of each side by side. Backward computes scores and attention anew, so that nothing of size L×L is kept.
struct AttentionPlan {
  int samples, h, w, channels;
  int64_t places;  ///< L = h·w
  int64_t matrix, pixels;
  int64_t phases, painted, scores, fused, inverse_norm, valid, elements;
  int64_t attention, gradient, phase_gradients, norm_gradients;  ///< backward only

  AttentionPlan(const Shape& x, int samples, Pass pass = Pass::forward)
      : samples(samples), h(x.h / 2), w(x.w / 2), channels(x.c), places(int64_t(h) * w) {
    matrix = places * places;
    pixels = kPhases * places * channels;
    const auto take = [this](int64_t count) {
      const int64_t at = elements;
      elements += (count * this->samples + 15) / 16 * 16;  // 64 bytes and more: every part stays aligned
      return at;
    };
    elements = 0;
    phases = take(pixels);   // x, a phase after the other, {L, C} each
    painted = take(pixels);  // y likewise; in backward dy
    scores = take(matrix);
    fused = take(matrix);
    inverse_norm = take(places);
    valid = take(places);
    attention = scores;  // forward needs no scores once it has this
    gradient = phase_gradients = norm_gradients = elements;
    if (pass == Pass::forward) return;
    attention = take(matrix);
    gradient = take(matrix);         // of the attention, then of what led to it
    phase_gradients = take(pixels);  // dx, a phase after the other
    norm_gradients = take(places);   // of each patch's squared length
  }
  size_t bytes(DType dtype) const { return size_t(elements) * size_of(accumulator_of(dtype)); }
};

}  // namespace telltale
