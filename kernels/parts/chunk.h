#pragma once
// Eight channels at a time: two or four 16-byte accesses on the device, one or two vector registers on the host. Every
// pointwise kernel is written over chunks, so one source is fast on both.
#include <algorithm>
#include <initializer_list>

#include "kernels/device/half.h"

namespace telltale {

/// Elements a kernel's index stands for.
constexpr int kChunk = 8;

/// Eight values in accumulator precision.
template <class A>
struct Chunk {
  A v[kChunk];
  TT_HD A& operator[](int k) { return v[k]; }
  TT_HD const A& operator[](int k) const { return v[k]; }
};

/// Calls f(k) for each place of a chunk: unrolled on the device, one vector operation on the host. Calls must not
/// depend on each other; a sum over k wants a plain loop.
template <class F>
TT_HD inline void each_in_chunk(F f) {
#ifdef __CUDA_ARCH__
#pragma unroll
#else
#pragma omp simd
#endif
  for (int k = 0; k < kChunk; ++k) f(k);
}

/// A chunk of one value.
template <class A>
TT_HD inline Chunk<A> chunk_of(A value) {
  Chunk<A> c;
  each_in_chunk([&](int k) { c.v[k] = value; });
  return c;
}

/// True when every pointer (null ones aside) lies on 16 bytes, so that the device may move 16 bytes at once.
inline bool all_aligned(std::initializer_list<const void*> pointers) {
  return std::all_of(pointers.begin(), pointers.end(),
                     [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; });
}

#if defined(__CUDACC__) || TT_FAKE_GPU
/// The widest word that a chunk of T is a multiple of.
template <class T>
using ChunkWord = std::conditional_t<sizeof(T) == 1, uint2, uint4>;
#endif

/// to[k] = To(from[k]), integers both. Written out, it is one instruction of the host's; a loop goes through two
/// registers and memory, from where the next loop's one register waits for both.
template <class To, class From>
inline void convert_chunk(const From* from, To* to) {
#if defined(__GNUC__) && !defined(__CUDACC__)
  typedef From FromVector __attribute__((vector_size(sizeof(From) * kChunk)));
  typedef To ToVector __attribute__((vector_size(sizeof(To) * kChunk)));
  FromVector v;
  memcpy(&v, from, sizeof v);
  const ToVector w{To(v[0]), To(v[1]), To(v[2]), To(v[3]), To(v[4]), To(v[5]), To(v[6]), To(v[7])};
  memcpy(to, &w, sizeof w);
#else
  each_in_chunk([&](int k) { to[k] = To(from[k]); });
#endif
}

/// Numbers narrower than a word as integers.
template <class T>
using Narrow = std::conditional_t<is_half<T>, uint16_t, T>;

/// The host's load_chunk of a whole chunk.
template <class T>
TT_HD inline Chunk<acc_t<T>> widened_chunk(const T* p) {
  Chunk<acc_t<T>> out;
#ifndef __CUDA_ARCH__
  if constexpr (sizeof(T) < 4) {
    uint32_t bits[kChunk];
    convert_chunk(reinterpret_cast<const Narrow<T>*>(p), bits);
    each_in_chunk([&](int k) {
      if constexpr (is_half<T>)
        out.v[k] = T::widened(bits[k]);
      else
        out.v[k] = float(int(bits[k]));
    });
    return out;
  }
#endif
  each_in_chunk([&](int k) { out.v[k] = load(p[k]); });
  return out;
}
/// The host's store_chunk of a whole chunk.
template <class T>
TT_HD inline void round_chunk(T* p, const Chunk<acc_t<T>>& c) {
#ifndef __CUDA_ARCH__
  if constexpr (is_half<T>) {
    uint32_t bits[kChunk];
    each_in_chunk([&](int k) { bits[k] = T::rounded(c.v[k]); });
    convert_chunk(bits, reinterpret_cast<uint16_t*>(p));
    return;
  }
#endif
  each_in_chunk([&](int k) { p[k] = store<T>(c.v[k]); });
}

/// p[0..count) in accumulator precision, zeros past it. `aligned`: p lies on the chunk's word size (device only).
template <class T>
TT_HD inline Chunk<acc_t<T>> load_chunk(const T* p, int count, [[maybe_unused]] bool aligned) {
  Chunk<acc_t<T>> out;
  if (count == kChunk) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
    if (aligned) {
      using Word = ChunkWord<T>;
      constexpr int words = sizeof(T) * kChunk / sizeof(Word);
      Word raw[words];
#pragma unroll
      for (int k = 0; k < words; ++k) raw[k] = reinterpret_cast<const Word*>(p)[k];
#pragma unroll
      for (int k = 0; k < kChunk; ++k) out.v[k] = load(reinterpret_cast<const T*>(raw)[k]);
      return out;
    }
#endif
    return widened_chunk(p);
  }
#ifndef __CUDA_ARCH__
  if constexpr (sizeof(T) < 4) {
    const auto* from = reinterpret_cast<const Narrow<T>*>(p);
    Narrow<T> padded[kChunk];
    each_in_chunk([&](int k) { padded[k] = k < count ? from[k] : Narrow<T>(0); });
    return widened_chunk(reinterpret_cast<const T*>(padded));
  }
#endif
  each_in_chunk([&](int k) { out.v[k] = k < count ? load(p[k]) : acc_t<T>(0); });
  return out;
}

/// p[0..count) = c, rounded to T.
template <class T>
TT_HD inline void store_chunk(T* p, const Chunk<acc_t<T>>& c, int count, [[maybe_unused]] bool aligned) {
  if (count == kChunk) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
    if (aligned) {
      using Word = ChunkWord<T>;
      constexpr int words = sizeof(T) * kChunk / sizeof(Word);
      Word raw[words];
#pragma unroll
      for (int k = 0; k < kChunk; ++k) reinterpret_cast<T*>(raw)[k] = store<T>(c.v[k]);
#pragma unroll
      for (int k = 0; k < words; ++k) reinterpret_cast<Word*>(p)[k] = raw[k];
      return;
    }
#endif
    return round_chunk(p, c);
  }
#ifndef __CUDA_ARCH__
  if constexpr (is_half<T>) {
    uint16_t rounded[kChunk], *to = reinterpret_cast<uint16_t*>(p);
    round_chunk(reinterpret_cast<T*>(rounded), c);
    each_in_chunk([&](int k) {
      if (k < count) to[k] = rounded[k];
    });
    return;
  }
#endif
  each_in_chunk([&](int k) {
    if (k < count) p[k] = store<T>(c.v[k]);
  });
}

/// A gradient written as its mode says.
template <class T>
TT_HD inline void store_gradient(T* p, Chunk<acc_t<T>> c, int count, bool aligned, bool accumulate) {
  if (accumulate) {
    const Chunk<acc_t<T>> old = load_chunk(p, count, aligned);
    each_in_chunk([&](int k) { c[k] += old[k]; });
  }
  store_chunk(p, c, count, aligned);
}

/// i / d for i ≥ 0: a 64-bit division costs the device about seventy instructions, so it is kept for those that need
/// it.
TT_HD inline int64_t divide(int64_t i, int d) {
  return (uint64_t(i) >> 32) == 0 ? int64_t(uint32_t(i) / uint32_t(d)) : i / d;
}

/// A flat tensor cut in chunks.
struct FlatChunks {
  int64_t n;
  TT_HD int64_t count() const { return (n + kChunk - 1) / kChunk; }
  TT_HD int64_t offset(int64_t i) const { return i * kChunk; }
  TT_HD int size(int64_t i) const { return n - i * kChunk < kChunk ? int(n - i * kChunk) : kChunk; }
};

/// Rows of c channels cut in chunks, the last one of each row shorter where c is no multiple.
struct RowChunks {
  int64_t rows;
  int c;
  int per_row;
  RowChunks(int64_t rows, int c) : rows(rows), c(c), per_row((c + kChunk - 1) / kChunk) {}
  struct At {
    int64_t row;
    int c, size;
  };
  TT_HD int64_t count() const { return rows * per_row; }
  TT_HD At at(int64_t i) const {
    const int64_t row = divide(i, per_row);
    const int first = int(i - row * per_row) * kChunk;
    return {row, first, c - first < kChunk ? c - first : kChunk};
  }
};

}  // namespace telltale
