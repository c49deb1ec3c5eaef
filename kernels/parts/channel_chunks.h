#pragma once
// How a loop over pixels is cut into indices where finding a pixel takes divisions.
#include "kernels/device/stream.h"
#include "kernels/parts/chunk.h"
#include "kernels/parts/divisor.h"

namespace telltale {

/// One index is a run of one pixel's channels: a chunk on the device, so that neighbouring lanes touch neighbouring
/// memory; the whole pixel on the host, so that its place is found once.
struct ChannelChunks {
  int channels, size, per_pixel;
  Divisor by_pixel;
  ChannelChunks(const Stream& s, int channels)
      : channels(channels),
        size(s.device_bodies() || channels == 0 ? kChunk : channels),
        per_pixel((channels + size - 1) / size),
        by_pixel(per_pixel) {}
  TT_HD int64_t pixel(int64_t index) const { return by_pixel.quotient(index); }
  /// Calls f(c, count) for the chunks of the index, whose pixel the caller may have found already: channels [c, c +
  /// count), count ≤ kChunk.
  template <class F>
  TT_HD void each(int64_t index, int64_t pixel, const F& f) const {
    const int begin = int(index - pixel * per_pixel) * size;
    const int end = begin + size < channels ? begin + size : channels;
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
    f(begin, end - begin);
#else
    for (int c = begin; c < end; c += kChunk) f(c, end - c < kChunk ? end - c : kChunk);
#endif
  }
  template <class F>
  TT_HD void each(int64_t index, const F& f) const {
    each(index, pixel(index), f);
  }
};

/// to[0..count) = from[0..count), bits and all: 16-bit numbers do not go through float.
template <class T>
TT_HD inline void copy_chunk(T* to, const T* from, int count, [[maybe_unused]] bool aligned) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  if (aligned && count == kChunk) {
    using Word = ChunkWord<T>;
    constexpr int words = sizeof(T) * kChunk / sizeof(Word);
    Word raw[words];
#pragma unroll
    for (int k = 0; k < words; ++k) raw[k] = reinterpret_cast<const Word*>(from)[k];
#pragma unroll
    for (int k = 0; k < words; ++k) reinterpret_cast<Word*>(to)[k] = raw[k];
    return;
  }
#endif
#ifndef __CUDA_ARCH__
  if (count == kChunk) {
    memcpy(to, from, kChunk * sizeof(T));  // a register's worth; 16-bit numbers in a loop are moved one by one
    return;
  }
#endif
  if (count == kChunk) return each_in_chunk([&](int k) { to[k] = from[k]; });
  each_in_chunk([&](int k) {
    if (k < count) to[k] = from[k];
  });
}

}  // namespace telltale
