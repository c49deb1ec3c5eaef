#pragma once
// Contextual attention by its definition, in double: what the cases of both passes compare with.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/check.h"
#include "kernels/attention/attention.h"
#include "kernels/case/op_case.h"

namespace telltale {

/// A rectangle of the mask, and the features it lies over.
struct Hole {
  int top, left, bottom, right;  // half-open, in x's pixels; each sample's is one pixel further right than the last's
};
struct AttentionSizes {
  Shape x;
  Hole hole;
  AttentionForm form = {};
  std::string name() const {
    return cat(to_string(x), " hole ", hole.top, ",", hole.left, ",", hole.bottom, ",", hole.right,
               form.fused ? "" : " unfused", form.clamped ? " clamped" : "", form.aligned ? " aligned" : "");
  }
};

/// The two forms of the family official.
constexpr AttentionForm kTensorFlow = {.fused = false, .clamped = true, .aligned = true};
constexpr AttentionForm kTorch = {.fused = true, .clamped = true, .aligned = false};

/// What both passes are tested on: no hole, all hole, odd channels, places in one row, several samples, none.
inline const std::vector<AttentionSizes> kAwkwardSizes = {{{1, 2, 2, 1}, {0, 0, 0, 0}},
                                                          {{1, 2, 8, 3}, {0, 2, 2, 4}},
                                                          {{2, 10, 6, 5}, {3, 2, 6, 4}},
                                                          {{3, 6, 14, 8}, {0, 5, 3, 8}},
                                                          {{1, 16, 16, 7}, {5, 4, 9, 12}},
                                                          {{2, 8, 8, 4}, {0, 0, 8, 8}},
                                                          {{1, 10, 10, 17}, {0, 0, 0, 0}},
                                                          {{0, 8, 8, 4}, {0, 0, 2, 2}},
                                                          {{2, 10, 6, 5}, {3, 2, 6, 4}, kTensorFlow},
                                                          {{1, 2, 8, 3}, {0, 2, 2, 4}, kTensorFlow},
                                                          {{2, 8, 12, 5}, {3, 2, 6, 4}, kTorch}};

/// Scratch of a case: poisoned, so that nothing of it is read before it is written; of doubles, so that views one
/// element off still suit every accumulator.
inline Tensor scratch_of(CaseRun& r, size_t bytes) {
  const int rows = int((bytes + 63) / 64);
  return {r.output({1, 1, rows, 8}, DType::f64).data, {1, 1, rows, 64}, DType::u8};
}

inline std::vector<double> mask_of(const AttentionSizes& s) {
  std::vector<double> mask;
  for (int n = 0; n < s.x.n; ++n)
    for (int i = 0; i < s.x.h; ++i)
      for (int j = 0; j < s.x.w; ++j)
        mask.push_back(i >= s.hole.top && i < s.hole.bottom && j >= s.hole.left + n && j < s.hole.right + n);
  return mask;
}

/// The definition, patch by patch, as in the published form: nothing of the kernels' rearrangement is in it.
class AttentionDefinition {
 public:
  AttentionDefinition(const Shape& x, const double* image, const double* mask, double scale, const AttentionForm& form)
      : shape_(x), h_(x.h / 2), w_(x.w / 2), places_(h_ * w_), image_(image), mask_(mask), scale_(scale), form_(form) {}

  /// y of one sample {H, W, C}.
  std::vector<double> forward() const { return paste(attention()); }

  /// dx of one sample: each of forward's steps in turn, last to first.
  std::vector<double> backward(const double* dy) const {
    std::vector<double> dx(size_t(shape_.numel() / shape_.n), 0.0);
    const Matrix a = attention();
    Matrix gradient = paste_backward(a, dy, dx);
    for (int q = 0; q < places_; ++q) {
      double mean = 0;
      for (int l = 0; l < places_; ++l) mean += a[l][q] * gradient[l][q];
      for (int l = 0; l < places_; ++l) gradient[l][q] = scale_ * a[l][q] * (gradient[l][q] - mean);
    }
    if (form_.fused) gradient = fuse_backward(by_columns(fuse_backward(by_columns(gradient, h_, w_)), w_, h_));
    for (int l = 0; l < places_; ++l) {
      for (int q = 0; q < places_; ++q) match_backward(l, q, gradient[l][q], dx);
    }
    return dx;
  }

 private:
  using Matrix = std::vector<std::vector<double>>;
  Matrix matrix() const { return Matrix(size_t(places_), std::vector<double>(size_t(places_), 0.0)); }

  /// [source][place].
  Matrix attention() const {
    Matrix score = matrix();
    for (int l = 0; l < places_; ++l) {
      for (int q = 0; q < places_; ++q) score[l][q] = match(l, q);
    }
    if (form_.fused) score = by_columns(fuse(by_columns(fuse(score), h_, w_)), w_, h_);
    for (int q = 0; q < places_; ++q) {
      double highest = -INFINITY, sum = 0;
      for (int l = 0; l < places_; ++l) highest = std::max(highest, scale_ * score[l][q] * valid(l));
      for (int l = 0; l < places_; ++l) sum += std::exp(scale_ * score[l][q] * valid(l) - highest);
      for (int l = 0; l < places_; ++l)
        score[l][q] = std::exp(scale_ * score[l][q] * valid(l) - highest) / sum * valid(l);
    }
    return score;
  }

  int64_t at(int i, int j, int c) const { return (int64_t(i) * shape_.w + j) * shape_.c + c; }
  bool inside(int i, int j) const { return i >= 0 && i < shape_.h && j >= 0 && j < shape_.w; }
  double pixel(int i, int j, int c) const { return inside(i, j) ? image_[at(i, j, c)] : 0; }
  /// Where row (or column) i of the shrunk features lies.
  int source(int i, int size) const {
    return form_.aligned && size > 1 ? int(std::floor(double(i) * (2 * size - 1) / (size - 1) + 0.5)) : 2 * i;
  }
  double shrunk(int i, int j, int c) const {
    return i < 0 || i >= h_ || j < 0 || j >= w_ ? 0 : pixel(source(i, h_), source(j, w_), c);
  }
  double norm(double square) const {
    return form_.clamped ? std::max(std::sqrt(square), 1e-4) : std::sqrt(square + 9e-4 * shape_.c);
  }

  double match(int l, int q) const {
    double dot = 0, square = 0;
    for (int di = -1; di <= 1; ++di)
      for (int dj = -1; dj <= 1; ++dj)
        for (int c = 0; c < shape_.c; ++c) {
          const double v = shrunk(l / w_ + di, l % w_ + dj, c);
          dot += v * shrunk(q / w_ + di, q % w_ + dj, c);
          square += v * v;
        }
    return dot / norm(square);
  }

  /// Adds gradient · d match(l, q) / dx to dx.
  void match_backward(int l, int q, double gradient, std::vector<double>& dx) const {
    double dot = 0, square = 0;
    const auto each = [&](auto f) {
      for (int di = -1; di <= 1; ++di)
        for (int dj = -1; dj <= 1; ++dj)
          for (int c = 0; c < shape_.c; ++c) f(l / w_ + di, l % w_ + dj, q / w_ + di, q % w_ + dj, c);
    };
    each([&](int li, int lj, int qi, int qj, int c) {
      const double v = shrunk(li, lj, c);
      dot += v * shrunk(qi, qj, c);
      square += v * v;
    });
    const double length = norm(square), curb = form_.clamped && length <= 1e-4 ? 0 : dot / (length * length * length);
    const auto add = [&](int i, int j, int c, double v) {
      if (i >= 0 && i < h_ && j >= 0 && j < w_) dx[size_t(at(source(i, h_), source(j, w_), c))] += gradient * v;
    };
    each([&](int li, int lj, int qi, int qj, int c) {
      const double v = shrunk(li, lj, c);
      add(qi, qj, c, v / length);
      add(li, lj, c, shrunk(qi, qj, c) / length - curb * v);
    });
  }

  Matrix fuse(const Matrix& in) const {
    Matrix out = matrix();
    for (int l = 0; l < places_; ++l)
      for (int q = 0; q < places_; ++q)
        for (int d = -1; d <= 1; ++d) {
          if (l + d >= 0 && l + d < places_ && q + d >= 0 && q + d < places_)
            out[size_t(l)][size_t(q)] += in[size_t(int64_t(l) + d)][size_t(int64_t(q) + d)];
        }
    return out;
  }

  Matrix fuse_backward(const Matrix& gradient) const {
    Matrix out = matrix();
    for (int l = 0; l < places_; ++l)
      for (int q = 0; q < places_; ++q)
        for (int d = -1; d <= 1; ++d) {
          if (l + d >= 0 && l + d < places_ && q + d >= 0 && q + d < places_)
            out[size_t(int64_t(l) + d)][size_t(int64_t(q) + d)] += gradient[size_t(l)][size_t(q)];
        }
    return out;
  }

  /// Rows and columns, both in row-major order of rows × columns, reordered column-major.
  Matrix by_columns(const Matrix& in, int rows, int columns) const {
    Matrix out = matrix();
    const auto moved = [&](int p) { return size_t(int64_t(p % columns) * rows + p / columns); };
    for (int l = 0; l < places_; ++l)
      for (int q = 0; q < places_; ++q) out[moved(l)][moved(q)] = in[size_t(l)][size_t(q)];
    return out;
  }

  double valid(int l) const {
    for (int i = l / w_ - 1; i <= l / w_ + 1; ++i)
      for (int j = l % w_ - 1; j <= l % w_ + 1; ++j)
        if (i >= 0 && i < h_ && j >= 0 && j < w_ && mask_[int64_t(source(i, h_)) * shape_.w + source(j, w_)] != 0)
          return 0;
    return 1;
  }

  /// Calls f(l, q, output number, input row, column, channel) wherever a raw patch's number is pasted.
  template <class F>
  void each_pasted(const F& f) const {
    for (int q = 0; q < places_; ++q)
      for (int ki = 0; ki < 4; ++ki)
        for (int kj = 0; kj < 4; ++kj) {
          const int i = 2 * (q / w_) + ki - 1, j = 2 * (q % w_) + kj - 1;
          if (!inside(i, j)) continue;
          for (int l = 0; l < places_; ++l)
            for (int c = 0; c < shape_.c; ++c)
              f(size_t(l), size_t(q), size_t(at(i, j, c)), 2 * (l / w_) + ki - 1, 2 * (l % w_) + kj - 1, c);
        }
  }

  std::vector<double> paste(const Matrix& a) const {
    std::vector<double> y(size_t(shape_.numel() / shape_.n), 0.0);
    each_pasted([&](size_t l, size_t q, size_t to, int i, int j, int c) { y[to] += a[l][q] * pixel(i, j, c) / 4; });
    return y;
  }

  /// The gradient of a; adds the raw patches' to dx.
  Matrix paste_backward(const Matrix& a, const double* dy, std::vector<double>& dx) const {
    Matrix gradient = matrix();
    each_pasted([&](size_t l, size_t q, size_t to, int i, int j, int c) {
      gradient[l][q] += dy[to] * pixel(i, j, c) / 4;
      if (inside(i, j)) dx[size_t(at(i, j, c))] += a[l][q] * dy[to] / 4;
    });
    return gradient;
  }

  Shape shape_;
  int h_, w_, places_;
  const double *image_, *mask_;
  double scale_;
  AttentionForm form_;
};

/// Runs f(definition, first number of the sample) for each sample; what it returns, one after the other.
template <class F>
std::vector<double> by_definition(const AttentionSizes& s, const std::vector<double>& images,
                                  const std::vector<double>& masks, double scale, const F& f) {
  const Shape& x = s.x;
  std::vector<double> all;
  const int64_t pixels = int64_t(x.h) * x.w;
  for (int n = 0; n < x.n; ++n) {
    const std::vector<double> one =
        f(AttentionDefinition(x, images.data() + n * pixels * x.c, masks.data() + n * pixels, scale, s.form),
          n * pixels * x.c);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

}  // namespace telltale
