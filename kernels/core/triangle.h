#pragma once
// The triangle filter of antialiased bilinear resizing, one axis at a time.
#include "kernels/core/tensor.h"

namespace telltale {

/// Half-pixel centres: source pixel i and output pixel o lie |(2i+1)·out − (2o+1)·in| / (2·out) source pixels apart,
/// and the triangle ends max(in/out, 1) away. Times 2·out everything is an integer, so weights are exact: weight(o, i)
/// / total(o). They equal those of PyTorch's upsample_bilinear2d_aa. Sizes up to 2^30.
struct TriangleAxis {
  int64_t in, out;
  TT_HD int64_t reach() const { return 2 * (in > out ? in : out); }
  /// The source pixels of positive weight are [begin(o), end(o)), never none.
  TT_HD int64_t begin(int64_t o) const {
    const int64_t beyond = (2 * o + 1) * in - reach() - out;  // (2i+1)·out must exceed beyond + out
    return beyond < 0 ? 0 : beyond / (2 * out) + 1;
  }
  TT_HD int64_t end(int64_t o) const {
    const int64_t e = ((2 * o + 1) * in + reach() - out + 2 * out - 1) / (2 * out);
    return e < in ? e : in;
  }
  TT_HD int64_t weight(int64_t o, int64_t i) const {
    const int64_t apart = (2 * i + 1) * out - (2 * o + 1) * in;
    return reach() - (apart < 0 ? -apart : apart);
  }
  TT_HD int64_t total(int64_t o) const {
    int64_t sum = 0;
    for (int64_t i = begin(o); i < end(o); ++i) sum += weight(o, i);
    return sum;
  }
  /// The same weights seen from the source: begin(i) … end(i) are then the outputs that read i.
  TT_HD TriangleAxis transposed() const { return {out, in}; }
};

}  // namespace telltale
