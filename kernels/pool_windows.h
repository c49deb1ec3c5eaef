#pragma once
// Where pooling's windows lie.
#include "kernels/parts/chunk.h"
#include "kernels/parts/divisor.h"
#include "kernels/parts/math.h"

namespace telltale {

/// A half-open range of rows or columns.
struct Range {
  int first, last;
  TT_HD int size() const { return last - first; }
};

/// One side of fixed windows: `in` pixels padded on both ends, windows of size() every stride(). A size and a stride
/// that are known when compiling turn divisions into shifts and let the device load a window at once.
template <int kSize = 0, int kStride = 0>
struct FixedWindows {
  static constexpr bool kKnown = kSize > 0;
  int in, out, runtime_size, runtime_stride, pad;
  TT_HD constexpr int size() const { return kKnown ? kSize : runtime_size; }
  TT_HD constexpr int stride() const { return kKnown ? kStride : runtime_stride; }
  TT_HD int start(int o) const { return o * stride() - pad; }
  TT_HD Range of_output(int o) const {
    const int first = start(o), end = first + size();
    return {first > 0 ? first : 0, end < in ? end : in};
  }
  /// The outputs whose windows hold input i.
  TT_HD Range of_input(int i) const {
    const int first = i + pad - size(), last = (i + pad) / stride() + 1;
    return {first < 0 ? 0 : first / stride() + 1, last < out ? last : out};
  }
  /// Place `tap` of window o or, beyond the border, the real place next to it.
  TT_HD int real_tap(int o, int tap) const {
    const int first = start(o), i = first + tap;
    return (i < 0 ? 0 : i < in ? i : in - 1) - first;
  }
};

/// One side of adaptive windows: window o = [floor(o·in/out), ceil((o+1)·in/out)).
struct AdaptiveWindows {
  int in, out;
  Divisor by_in, by_out;
  AdaptiveWindows(int in, int out) : in(in), out(out), by_in(in), by_out(out) {}
  TT_HD Range of_output(int o) const {
    const int64_t first = int64_t(o) * in;
    return {int(by_out.quotient(first)), int(by_out.quotient(first + in + out - 1))};
  }
  TT_HD Range of_input(int i) const {
    const int64_t first = int64_t(i) * out;
    return {int(by_in.quotient(first)), int(by_in.quotient(first + out + in - 1))};
  }
};

/// Where a chunk of an {n,h,w,c} tensor lies.
struct Pixel {
  int64_t n;
  int h, w, c, size;
};
TT_HD inline Pixel pixel_at(const RowChunks& chunks, int h, int w, int64_t i) {
  const RowChunks::At at = chunks.at(i);
  const int64_t line = divide(at.row, w), n = divide(line, h);
  return {n, int(line - n * h), int(at.row - line * w), at.c, at.size};
}

/// Whole chunks of {n,h,w,c}, for bodies that count instructions: there are fewer than 2³¹ of them.
struct WholeChunks {
  int c;
  Divisor per_pixel, w, h;
  WholeChunks(int h, int w, int c) : c(c), per_pixel(c / kChunk), w(w), h(h) {}
  TT_HD Pixel at(int64_t i) const {
    const int chunk = int(i), pixel = per_pixel.divide(chunk), line = w.divide(pixel), n = h.divide(line);
    return {int64_t(n), line - n * h.d, pixel - line * w.d, (chunk - pixel * per_pixel.d) * kChunk, kChunk};
  }
};
TT_HD inline Pixel pixel_at(const WholeChunks& chunks, int, int, int64_t i) { return chunks.at(i); }

}  // namespace telltale
