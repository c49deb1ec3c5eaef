#pragma once
// Memory runs at full speed only with tens of kilobytes on their way to every multiprocessor. A lane therefore asks for
// a few rows' inputs before it computes the first; the compiler may not, where an output could be the next row's input.
#include "kernels/parts/chunk.h"

namespace telltale {

/// Rows of which a lane asks for its chunk at once, kBytes of each input; one where chunks are not aligned. More bytes
/// take registers, and a multiprocessor then holds fewer lanes.
template <class T, int kBytes, bool kAligned = true>
constexpr int kRowsAhead = kAligned&& kBytes / kChunk > int(sizeof(T)) ? kBytes / kChunk / int(sizeof(T)) : 1;

/// Whether T has a path for aligned chunks in sums: f64, which only checks others, has registers for one path.
template <class T>
constexpr bool kSumsAligned = sizeof(T) < 8;

/// A chunk as it lies in memory: in 16 bits that is half the registers of its numbers.
template <class T>
struct alignas(16) RawChunk {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  uint32_t words[sizeof(T) * kChunk / 4];  // halves of words would take a register each
  TT_HD Chunk<acc_t<T>> numbers() const {
    if constexpr (std::is_same_v<T, bf16>) {
      Chunk<float> out;
      each_in_chunk([&](int k) { out[k] = float_of(k % 2 ? words[k / 2] & 0xffff0000u : words[k / 2] << 16); });
      return out;
    } else {
      return load_chunk(reinterpret_cast<const T*>(words), kChunk, false);
    }
  }
#else
  T v[kChunk];
  TT_HD Chunk<acc_t<T>> numbers() const { return load_chunk(v, kChunk, false); }
#endif
};

/// p[0..count), zeros past it. kAligned: count is kChunk, and p lies on 16 bytes (device only).
template <bool kAligned, class T>
TT_HD inline RawChunk<T> load_raw(const T* p, int count) {
  RawChunk<T> raw;
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  T* v = reinterpret_cast<T*>(raw.words);
  if constexpr (kAligned) {
#pragma unroll
    for (int k = 0; k < int(sizeof(raw) / 16); ++k) {
      const uint4 four = reinterpret_cast<const uint4*>(p)[k];
      raw.words[4 * k] = four.x;
      raw.words[4 * k + 1] = four.y;
      raw.words[4 * k + 2] = four.z;
      raw.words[4 * k + 3] = four.w;
    }
    return raw;
  }
#else
  T* v = raw.v;
#endif
  each_in_chunk([&](int k) { v[k] = kAligned || k < count ? p[k] : T(); });
  return raw;
}

/// Over the rows first, first + step, … below last, kAhead of them at a time: read(j, row) for each, j counting from 0,
/// then use(j, row) for each.
template <int kAhead, class Read, class Use>
TT_HD inline void walk_rows(int64_t first, int64_t last, int step, Read read, Use use) {
  for (int64_t group = first; group < last; group += int64_t(kAhead) * step) {
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int j = 0; j < kAhead; ++j) {
      if (group + j * step < last) read(j, group + j * step);
    }
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int j = 0; j < kAhead; ++j) {
      if (group + j * step < last) use(j, group + j * step);
    }
  }
}

/// Groups of rows that share one load of their channels' constants: larger ones where enough lanes are left.
struct RowGroups {
  static constexpr int kSmallest = 4, kLargest = 16;
  static constexpr int64_t kLanes = 1 << 18;  // about a full load of the largest GPU known
  RowChunks chunks;                           // of groups
  int64_t rows;
  int size;
  RowGroups(int64_t rows, int c) : chunks(rows, c), rows(rows), size(kSmallest) {
    while (size < kLargest && chunks.count() / (2 * size) >= kLanes) size *= 2;
    chunks.rows = (rows + size - 1) / size;
  }
  TT_HD int64_t first(const RowChunks::At& at) const { return at.row * size; }
  TT_HD int64_t last(const RowChunks::At& at) const { return first(at) + size < rows ? first(at) + size : rows; }
};

}  // namespace telltale
