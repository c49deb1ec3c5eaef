#pragma once
// The triangle filter of antialiased bilinear resizing, one axis at a time.
#include "kernels/parts/divisor.h"

namespace telltale {

/// What one output reads along an axis: the source pixels [begin, end), never none, each with a positive weight.
struct TriangleTaps {
  int begin, end;
  uint32_t reach, step;
  int32_t apart;  // of begin; the next pixel is a step further
  TT_HD uint32_t weight(int i) const {
    const int32_t at = int32_t(uint32_t(apart) + step * uint32_t(i - begin));
    return reach - uint32_t(at < 0 ? -at : at);
  }
  TT_HD int64_t total() const {
    int64_t sum = 0;
    for (int i = begin; i < end; ++i) sum += weight(i);
    return sum;
  }
};

/// Half-pixel centres: source pixel i and output pixel o lie |(2i+1)·out − (2o+1)·in| / (2·out) source pixels apart,
/// and the triangle ends max(in/out, 1) away. Times 2·out everything is an integer, so weights are exact: weight /
/// total of the output's taps. They equal those of PyTorch's upsample_bilinear2d_aa. Sizes up to 2^30.
struct TriangleAxis {
  Divisor in, out;
  TriangleAxis(int in, int out) : in(in), out(out) {}
  TT_HD int64_t reach() const { return 2 * int64_t(in.d > out.d ? in.d : out.d); }
  TT_HD TriangleTaps taps(int o) const {
    const int64_t centre = (2 * int64_t(o) + 1) * in.d;
    const int64_t beyond = centre - reach() - out.d;  // the first pixel's 2i·out exceeds it
    const int begin = beyond < 0 ? 0 : int(out.quotient(beyond >> 1)) + 1;
    const int end = int(out.quotient((centre + reach() + out.d - 1) >> 1));
    const int64_t apart = (2 * int64_t(begin) + 1) * out.d - centre;
    return {begin, end < in.d ? end : in.d, uint32_t(reach()), 2 * uint32_t(out.d), int32_t(apart)};
  }
};

}  // namespace telltale
