#pragma once
// How a loop over pixels is cut into indices where finding a pixel takes divisions.
#include "kernels/core/chunk.h"
#include "kernels/core/stream.h"

namespace telltale {

/// One index is a run of one pixel's channels: a chunk on the device, so that neighbouring lanes touch neighbouring
/// memory; the whole pixel on the host, so that its place is found once.
struct ChannelChunks {
  int channels, size, per_pixel;
  ChannelChunks(const Stream& s, int channels)
      : channels(channels),
        size(s.device_bodies() || channels == 0 ? kChunk : channels),
        per_pixel((channels + size - 1) / size) {}
  TT_HD int64_t pixel(int64_t index) const { return per_pixel == 1 ? index : divide(index, per_pixel); }
  /// Calls f(c, count) for the index's chunks: channels [c, c + count), count ≤ kChunk.
  template <class F>
  TT_HD void each(int64_t index, const F& f) const {
    const int begin = int(index - pixel(index) * per_pixel) * size;
    const int end = begin + size < channels ? begin + size : channels;
    for (int c = begin; c < end; c += kChunk) f(c, end - c < kChunk ? end - c : kChunk);
  }
};

}  // namespace telltale
