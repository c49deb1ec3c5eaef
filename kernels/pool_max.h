#pragma once
// Max pooling's bodies. Where windows are known when compiling, chunks are whole and aligned and an image has fewer
// than 2³¹ numbers, so that places within it are cheap to find.
#include "kernels/parts/half_pairs.h"
#include "kernels/pool.h"
#include "kernels/pool_windows.h"

namespace telltale {

/// f(0) … f(n − 1) in order; unrolled on the device, so that what f loads is on its way at once.
template <int n, class F>
TT_HD inline void unrolled(F f) {
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
  for (int k = 0; k < n; ++k) f(k);
}

/// An aligned struct of words at p: one access on the device. The host's compiler must not take p's numbers for words.
template <class Words>
TT_HD inline Words load_words(const void* p) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  return *static_cast<const Words*>(p);
#else
  Words w;
  memcpy(&w, p, sizeof w);
  return w;
#endif
}
template <class Words>
TT_HD inline void store_words(void* p, const Words& w) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  *static_cast<Words*>(p) = w;
#else
  memcpy(p, &w, sizeof w);
#endif
}

/// A chunk's bytes as numbers, in whole words: a GPU converts to float at a quarter of its rate or less.
TT_HD inline Chunk<int> load_positions(const uint8_t* p, int count, [[maybe_unused]] bool aligned) {
  Chunk<int> out;
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  if (aligned && count == kChunk) {
    const uint2 raw = *reinterpret_cast<const uint2*>(p);
    each_in_chunk([&](int k) { out[k] = int(__byte_perm(k < 4 ? raw.x : raw.y, 0, unsigned(0x4440 + k % 4))); });
    return out;
  }
#endif
#ifndef __CUDA_ARCH__
  if (count == kChunk) {
    convert_chunk(p, out.v);
    return out;
  }
#endif
  each_in_chunk([&](int k) { out[k] = k < count ? p[k] : 0; });
  return out;
}
TT_HD inline void store_positions(uint8_t* p, const Chunk<int>& at, int count, [[maybe_unused]] bool aligned) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  if (aligned && count == kChunk) {
    const auto word = [&](int k) {
      return unsigned(at[k]) | unsigned(at[k + 1]) << 8 | unsigned(at[k + 2]) << 16 | unsigned(at[k + 3]) << 24;
    };
    *reinterpret_cast<uint2*>(p) = make_uint2(word(0), word(4));
    return;
  }
#endif
#ifndef __CUDA_ARCH__
  if (count == kChunk) return convert_chunk(at.v, p);
#endif
  each_in_chunk([&](int k) {
    if (k < count) p[k] = uint8_t(at[k]);
  });
}

template <class T, class Windows>
struct MaxPool {
  std::conditional_t<Windows::kKnown, WholeChunks, RowChunks> chunks;  // of y
  Windows rows, columns;
  const T* x;
  T* y;
  uint8_t* argmax;  // may be null
  bool relu, aligned;

  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Pixel p = pixel_at(chunks, rows.out, columns.out, i);
    const bool wide = Windows::kKnown || aligned;
    const int top = rows.start(p.h), left = columns.start(p.w);
    Chunk<A> best = chunk_of(A(-INFINITY));
    Chunk<int> at = chunk_of(rows.real_tap(p.h, 0) * rows.size() + columns.real_tap(p.w, 0));
    const T* image = x + p.n * (int64_t(rows.in) * columns.in * chunks.c) + p.c;
    using Offset = std::conditional_t<Windows::kKnown, int, int64_t>;
    const auto take = [&](int row, int column) {
      const Offset offset = (Offset(top + row) * columns.in + left + column) * chunks.c;
      const Chunk<A> v = load_chunk(image + offset, p.size, wide);
      const int position = row * rows.size() + column;
      each_in_chunk([&](int k) {
        // A NaN is not ≤ anything and, once held, gives way to nothing.
        const bool more = !(v[k] <= best[k]), number = best[k] == best[k];
        const bool take = more & number;
        best[k] = take ? v[k] : best[k];
        at[k] = take ? position : at[k];
      });
    };
    if constexpr (Windows::kKnown) {
      // A real pixel in place of one beyond the border changes neither the maximum nor its first place.
      constexpr int size = Windows().size();
      unrolled<size>([&](int h) {
        const int row = rows.real_tap(p.h, h);
        unrolled<size>([&](int w) { take(row, columns.real_tap(p.w, w)); });
      });
    } else {
      const Range r = rows.of_output(p.h), q = columns.of_output(p.w);
      for (int h = r.first; h < r.last; ++h)
        for (int w = q.first; w < q.last; ++w) take(h - top, w - left);
    }
    if (relu) {
      each_in_chunk([&](int k) {
        const bool passes = best[k] > A(0);
        best[k] = passes ? best[k] : A(0);
        at[k] = passes ? at[k] : int(kNoPosition);
      });
    }
    const int64_t o = ((p.n * rows.out + p.h) * columns.out + p.w) * chunks.c + p.c;
    store_chunk(y + o, best, p.size, wide);
    if (argmax) store_positions(argmax + o, at, p.size, wide);
  }
};

/// MaxPool of 16-bit numbers as they are, two in a word: the largest first, then its place.
template <class T, class Windows>
struct MaxPoolPairs {
  static constexpr int kWords = kChunk / 2, kSize = Windows().size(), kTaps = kSize * kSize;
  struct alignas(16) Words {
    uint32_t v[kWords];
  };
  struct alignas(8) Bytes {
    uint32_t v[kWords / 2];
  };
  WholeChunks chunks;  // of y
  Windows rows, columns;
  const T* x;
  T* y;
  uint8_t* argmax;  // may be null
  bool relu;

  TT_HD static uint32_t select(uint32_t mask, uint32_t yes, uint32_t no) { return (mask & yes) | (~mask & no); }

  TT_HD void operator()(int64_t i) const {
    constexpr uint32_t kBoth = 0x10001;  // a number in either half
    const Pixel p = pixel_at(chunks, rows.out, columns.out, i);
    const T* image = x + p.n * (int64_t(rows.in) * columns.in * chunks.c) + p.c;
    const int top = rows.start(p.h), left = columns.start(p.w);
    // A real pixel in place of one beyond the border changes neither the maximum nor its first place.
    int row[kSize], column[kSize];
    unrolled<kSize>([&](int k) { row[k] = rows.real_tap(p.h, k), column[k] = columns.real_tap(p.w, k); });
    Words taps[kTaps];
    unrolled<kTaps>([&](int t) {
      const int h = top + row[t / kSize], w = left + column[t % kSize];
      taps[t] = load_words<Words>(image + (h * columns.in + w) * chunks.c);
    });
    Words best = taps[0], at = {};
    unrolled<kTaps - 1>(
        [&](int t) { unrolled<kWords>([&](int k) { best.v[k] = max_of_pairs<T>(best.v[k], taps[t + 1].v[k]); }); });
    // From the last to the first one: the first of equals stays.
    const auto find = [&](auto found) {
      unrolled<kTaps>([&](int back) {
        const int t = kTaps - 1 - back;
        const uint32_t position = uint32_t(row[t / kSize] * kSize + column[t % kSize]) * kBoth;
        unrolled<kWords>([&](int k) { at.v[k] = select(found(taps[t].v[k], best.v[k]), position, at.v[k]); });
      });
    };
    find([](uint32_t v, uint32_t largest) { return equal_in_pairs<T>(v, largest); });
    if (relu) {
      unrolled<kWords>([&](int k) {
        const uint32_t passes = greater_in_pairs<T>(best.v[k], 0);
        best.v[k] &= passes;
        at.v[k] = select(passes, at.v[k], kNoPosition * kBoth);
      });
    } else {
      uint32_t numbers = ~0u;
      unrolled<kWords>([&](int k) { numbers &= equal_in_pairs<T>(best.v[k], best.v[k]); });
      if (numbers != ~0u) find([](uint32_t v, uint32_t) { return ~equal_in_pairs<T>(v, v); });  // NaN equals nothing
    }
    const int64_t o = ((p.n * rows.out + p.h) * columns.out + p.w) * chunks.c + p.c;
    store_words(y + o, best);
    if (!argmax) return;
    Bytes bytes;
    unrolled<kWords / 2>([&](int k) {
      const uint32_t low = at.v[2 * k], high = at.v[2 * k + 1];
      bytes.v[k] = ((low | low >> 8) & 0xffff) | (high | high >> 8) << 16;
    });
    store_words(argmax + o, bytes);
  }
};

template <class T>
struct MaxPoolGradient {
  RowChunks chunks;  // of dx
  FixedWindows<> rows, columns;
  const T* dy;
  const uint8_t* argmax;
  T* dx;
  bool aligned, accumulate;

  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const Pixel p = pixel_at(chunks, rows.in, columns.in, i);
    const Range r = rows.of_input(p.h), q = columns.of_input(p.w);
    Chunk<A> sum = chunk_of(A(0));
    for (int h = r.first; h < r.last; ++h) {
      for (int w = q.first; w < q.last; ++w) {
        const int position = (p.h - rows.start(h)) * rows.size() + p.w - columns.start(w);
        const int64_t o = ((p.n * rows.out + h) * columns.out + w) * chunks.c + p.c;
        const Chunk<A> g = load_chunk(dy + o, p.size, aligned);
        const Chunk<int> at = load_positions(argmax + o, p.size, aligned);
        each_in_chunk([&](int k) { sum[k] = at[k] == position ? sum[k] + g[k] : sum[k]; });
      }
    }
    store_gradient(dx + ((p.n * rows.in + p.h) * columns.in + p.w) * chunks.c + p.c, sum, p.size, aligned, accumulate);
  }
};

/// MaxPoolGradient of known windows. One index is a block of stride·stride pixels of dx, over which the same few
/// windows lie: each is read once.
template <class T, class Windows>
struct MaxPoolBlockGradient {
  using A = acc_t<T>;
  static constexpr int kSize = Windows().size(), kStride = Windows().stride();
  static constexpr int kOver = (kSize + kStride - 1) / kStride;  // windows of a side over a block
  Windows rows, columns;
  WholeChunks chunks;  // of blocks
  const T* dy;
  const uint8_t* argmax;
  T* dx;
  bool accumulate;

  /// Block b starts where window b does.
  static int blocks(const Windows& side) { return (side.in - 1 + side.pad) / kStride + 1; }

  TT_HD void operator()(int64_t i) const {
    const Pixel block = chunks.at(i);
    const int64_t windows = block.n * (int64_t(rows.out) * columns.out * chunks.c) + block.c;
    Chunk<A> sums[kStride * kStride] = {};
    unrolled<kOver * kOver>([&](int window) {
      const int up = kOver - 1 - window / kOver, back = kOver - 1 - window % kOver;
      const int h = block.h - up, w = block.w - back;
      const bool real = h >= 0 && h < rows.out && w >= 0 && w < columns.out;
      const int64_t o = windows + (real ? (h * columns.out + w) * chunks.c : 0);
      const Chunk<A> g = load_chunk(dy + o, kChunk, true);
      const Chunk<int> at = load_positions(argmax + o, kChunk, true);
      unrolled<kStride * kStride>([&](int pixel) {
        const int row = up * kStride + pixel / kStride, column = back * kStride + pixel % kStride;
        if (row >= kSize || column >= kSize) return;
        const int position = row * kSize + column;
        const bool first = row + kStride >= kSize && column + kStride >= kSize;  // of the windows over this pixel
        Chunk<A>& sum = sums[pixel];
        each_in_chunk([&](int k) {
          const A more = first ? g[k] : sum[k] + g[k], same = first ? A(0) : sum[k];
          sum[k] = (real & (at[k] == position)) ? more : same;
        });
      });
    });
    T* image = dx + block.n * (int64_t(rows.in) * columns.in * chunks.c) + block.c;
    unrolled<kStride * kStride>([&](int pixel) {
      const int h = rows.start(block.h) + pixel / kStride, w = columns.start(block.w) + pixel % kStride;
      if (h < 0 || h >= rows.in || w < 0 || w >= columns.in) return;
      store_gradient(image + (h * columns.in + w) * chunks.c, sums[pixel], kChunk, true, accumulate);
    });
  }
};

}  // namespace telltale
