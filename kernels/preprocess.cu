#include "kernels/device/launch.h"
#include "kernels/parts/chunk.h"
#include "kernels/parts/triangle.h"
#include "kernels/preprocess.h"
#include "kernels/space_to_depth.h"

namespace telltale {
namespace {

constexpr int kColours = 3;

/// Where sample n's bytes are, and whether they are mirrored.
struct Source {
  const uint8_t *x, *flip;
  const int32_t* index;
  TT_HD int64_t image(int64_t n) const { return index ? index[n] : n; }
  TT_HD bool mirrored(int64_t n) const { return flip && flip[n]; }
};

/// (v/255 − mean)/std of a byte's value v is v·scale + shift.
template <class A>
struct Colours {
  A scale[kColours], shift[kColours];
  explicit Colours(const PreprocessArgs& a) {
    for (int c = 0; c < kColours; ++c) {
      scale[c] = A(1 / (255 * double(a.std[c])));
      shift[c] = A(-double(a.mean[c]) / double(a.std[c]));
    }
  }
  TT_HD A normalise(A value, int c) const { return value * scale[c] + shift[c]; }
};

/// One index is one run of `run` output pixels in a row: one pixel on the device, a whole row on the host.
template <class T, bool Resize>
struct Preprocess {
  using A = acc_t<T>;
  Source source;
  T* y;
  Shape from, to;
  Divisor height, width;  // of `to`
  TriangleAxis rows, columns;
  Colours<A> colours;
  int run;

  TT_HD void operator()(int64_t index) const {
    const int64_t start = index * run, row = width.quotient(start), n = height.quotient(row);
    const int w0 = int(start - row * to.w), h = int(row - n * to.h);
    const int64_t image = source.image(n);
    const bool mirrored = source.mirrored(n);
    T* out = y + start * kColours;
    for (int w = w0; w < w0 + run; ++w, out += kColours)
      pixel(image, h, w, mirrored, [&](int c, A value) { out[c] = store<T>(value); });
  }

  /// Calls put(colour, value) for one pixel.
  template <class Put>
  TT_HD void pixel(int64_t image, int h, int w, bool mirrored, const Put& put) const {
    // The filter is symmetric, so mirroring the source mirrors the result.
    if (mirrored) w = to.w - 1 - w;
    if constexpr (!Resize) {
      const uint8_t* bytes = source.x + ((image * from.h + h) * from.w + w) * kColours;
      for (int c = 0; c < kColours; ++c) put(c, colours.normalise(A(bytes[c]), c));
    } else {
      const TriangleTaps across = columns.taps(w), down = rows.taps(h);
      // Weights and bytes are integers: divided once, at the end, what need not be rounded is not.
      A sum[kColours] = {};
      for (int i = down.begin; i < down.end; ++i) {
        A line[kColours] = {};
        const uint8_t* bytes = source.x + ((image * from.h + i) * from.w + across.begin) * kColours;
        for (int j = across.begin; j < across.end; ++j, bytes += kColours) {
          const A weight = A(across.weight(j));
          for (int c = 0; c < kColours; ++c) line[c] += weight * A(bytes[c]);
        }
        const A weight = A(down.weight(i));
        for (int c = 0; c < kColours; ++c) sum[c] += weight * line[c];
      }
      const A share = A(1) / (A(down.total()) * A(across.total()));
      for (int c = 0; c < kColours; ++c) put(c, colours.normalise(sum[c] * share, c));
    }
  }
};

/// One index is one block of four pixels, or of zeros at the border.
template <class T, bool Resize>
struct PreprocessBlocks {
  Preprocess<T, Resize> image;
  T* y;
  Divisor height, width;  // of y
  bool aligned, host;
  acc_t<T> block_scale[kBlockChannels] = {}, block_shift[kBlockChannels] = {};  // by channel; 0 past the colours

  PreprocessBlocks(const Preprocess<T, Resize>& image, T* y, const Shape& blocks, bool aligned, bool host)
      : image(image), y(y), height(blocks.h), width(blocks.w), aligned(aligned), host(host) {
    for (int i = 0; i < 4 * kColours; ++i) {
      block_scale[i] = image.colours.scale[i % kColours];
      block_shift[i] = image.colours.shift[i % kColours];
    }
  }

  TT_HD void operator()(int64_t index) const {
    using A = acc_t<T>;
    const int64_t line = width.quotient(index), n = height.quotient(line);
    const int row = 2 * (int(line - n * height.d) - 2), column = 2 * (int(index - line * width.d) - 2);
    Chunk<A> parts[kBlockChannels / kChunk];
    for (Chunk<A>& part : parts) part = chunk_of(A(0));
    if (row >= 0 && row < image.to.h && column >= 0 && column < image.to.w) {
      const int64_t source = image.source.image(n);
      const bool mirrored = image.source.mirrored(n);
#ifndef __CUDA_ARCH__
      if constexpr (!Resize) {
        if (host && column + 1 < image.to.w && row + 1 < image.to.h)
          return normalise(index, source, row, column, mirrored);
      }
#endif
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
      for (int pixel = 0; pixel < 4; ++pixel)
        image.pixel(source, row + pixel / 2, column + pixel % 2, mirrored, [&](int c, A value) {
          const int at = pixel * kColours + c;
          parts[at / kChunk][at % kChunk] = value;
        });
    }
    T* out = y + index * kBlockChannels;
    for (int part = 0; part < kBlockChannels / kChunk; ++part)
      store_chunk(out + part * kChunk, parts[part], kChunk, aligned);
  }

#ifndef __CUDA_ARCH__
  /// A block of pixels as they are, on the host: bytes meet in words, numbers in registers.
  TT_HD void normalise(int64_t index, int64_t source, int row, int column, bool mirrored) const {
    using A = acc_t<T>;
    constexpr int kLine = 2 * kColours;
    const Shape& from = image.from;
    const int first = mirrored ? from.w - 2 - column : column;
    const uint8_t* bytes = image.source.x + ((source * from.h + row) * from.w + first) * kColours;
    const auto line = [&](const uint8_t* p) {
      uint32_t low;
      uint16_t high;
      memcpy(&low, p, sizeof low);
      memcpy(&high, p + sizeof low, sizeof high);
      const uint64_t two = uint64_t(low) | uint64_t(high) << 32;
      return mirrored ? (two >> 24) | (two & 0xffffff) << 24 : two;
    };
    static_assert(kLine == 6 && kBlockChannels == 2 * kChunk);
    const uint64_t upper = line(bytes), lower = line(bytes + from.w * kColours);
    const uint64_t words[] = {upper | lower << 48, lower >> 16};
    T* out = y + index * kBlockChannels;
    for (int part = 0; part < 2; ++part) {
      uint8_t eight[kChunk];
      memcpy(eight, words + part, sizeof eight);
      const auto v = load_chunk(eight, kChunk, false);
      Chunk<A> numbers;
      each_in_chunk(
          [&](int k) { numbers[k] = A(v[k]) * block_scale[part * kChunk + k] + block_shift[part * kChunk + k]; });
      store_chunk(out + part * kChunk, numbers, kChunk, aligned);
    }
  }
#endif
};

/// Eight neighbouring pixels of images that keep their size: three chunks of bytes in, three of numbers out.
template <class T>
struct NormaliseEight {
  using A = acc_t<T>;
  static constexpr int kNumbers = kColours * kChunk;
  Source source;
  T* y;
  int h, w;  // w is a multiple of eight
  Divisor height, width;
  Colours<A> colours;
  bool aligned;

  TT_HD void operator()(int64_t index) const {
    const int64_t start = index * kChunk, row = width.quotient(start), n = height.quotient(row);
    const bool mirrored = source.mirrored(n);
    const int64_t first = (mirrored ? 2 * row * w + w - kChunk - start : start) + (source.image(n) - n) * h * w;
    A bytes[kNumbers];
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int part = 0; part < kColours; ++part) {
      const auto c = load_chunk(source.x + first * kColours + part * kChunk, kChunk, aligned);
      each_in_chunk([&](int k) { bytes[part * kChunk + k] = A(c[k]); });
    }
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int part = 0; part < kColours; ++part) {
      Chunk<A> out;
      each_in_chunk([&](int k) {
        const int i = part * kChunk + k, pixel = i / kColours, colour = i - pixel * kColours;
        const A value = mirrored ? bytes[(kChunk - 1 - pixel) * kColours + colour] : bytes[i];
        out[k] = colours.normalise(value, colour);
      });
      store_chunk(y + start * kColours + part * kChunk, out, kChunk, aligned);
    }
  }
};

/// The host's form of images that keep their size: a row to an index. Colours repeat every three chunks.
template <class T>
struct NormaliseRow {
  using A = acc_t<T>;
  static constexpr int kNumbers = kColours * kChunk, kRun = 8 * kNumbers;
  Source source;
  T* y;
  int h, numbers;  // of an image's rows, of a row
  A scale[kNumbers], shift[kNumbers];
  NormaliseRow(Source source, T* y, const Shape& to, const Colours<A>& colours)
      : source(source), y(y), h(to.h), numbers(to.w * kColours) {
    for (int i = 0; i < kNumbers; ++i) scale[i] = colours.scale[i % kColours], shift[i] = colours.shift[i % kColours];
  }
  TT_HD void operator()(int64_t row) const {
    const int64_t n = row / h;
    const bool mirrored = source.mirrored(n);
    const uint8_t* bytes = source.x + (source.image(n) * h + row - n * h) * numbers;
    for (int first = 0; first < numbers; first += kRun) {
      const int count = numbers - first < kRun ? numbers - first : kRun;
      uint8_t turned[kRun];
      if (mirrored) {
        const uint8_t* end = bytes + numbers - first;
        for (int i = 0; i < count; i += kColours)
          for (int c = 0; c < kColours; ++c) turned[i + c] = end[c - kColours - i];
      }
      const uint8_t* from = mirrored ? turned : bytes + first;
      T* to = y + row * numbers + first;
      for (int i = 0; i < count; i += kChunk) {
        const int size = count - i < kChunk ? count - i : kChunk, colour = i % kNumbers;
        const auto v = load_chunk(from + i, size, false);
        Chunk<A> out;
        each_in_chunk([&](int k) { out[k] = A(v[k]) * scale[colour + k] + shift[colour + k]; });
        store_chunk(to + i, out, size, false);
      }
    }
  }
};

Source source_of(const PreprocessArgs& a) {
  return {a.x.as<const uint8_t>(), a.flip.as<const uint8_t>(), a.index.as<const int32_t>()};
}
/// The shape of the images that y holds.
Shape images_of(const PreprocessArgs& a) {
  const Shape& y = a.y.shape;
  return a.blocks ? Shape{y.n, 2 * (y.h - 3), 2 * (y.w - 3), kColours} : y;
}
bool keeps_size(const PreprocessArgs& a) { return a.x.shape.h == images_of(a).h && a.x.shape.w == images_of(a).w; }

template <class T>
void run_normalise_eight(Stream& s, const PreprocessArgs& a) {
  const Shape& y = a.y.shape;
  const NormaliseEight<T> kernel{source_of(a),
                                 a.y.as<T>(),
                                 y.h,
                                 y.w,
                                 Divisor(y.h),
                                 Divisor(y.w),
                                 Colours<acc_t<T>>(a),
                                 all_aligned({a.x.data, a.y.data})};
  for_each(s, y.rows() / kChunk, kernel, int64_t(kChunk) * kColours);
}

template <class T, bool Resize>
Preprocess<T, Resize> image_kernel(const PreprocessArgs& a, T* y, int run) {
  const Shape from = a.x.shape, to = images_of(a);
  return {source_of(a),         y,  from, to, Divisor(to.h), Divisor(to.w), {from.h, to.h}, {from.w, to.w},
          Colours<acc_t<T>>(a), run};
}

template <class T, bool Resize>
void run_preprocess(Stream& s, const PreprocessArgs& a) {
  const int run = s.device_bodies() ? 1 : a.y.shape.w;
  for_each(s, a.y.shape.numel() / (int64_t(run) * kColours), image_kernel<T, Resize>(a, a.y.as<T>(), run),
           int64_t(run) * kColours);
}

template <class T, bool Resize>
void run_blocks(Stream& s, const PreprocessArgs& a) {
  const PreprocessBlocks<T, Resize> kernel(image_kernel<T, Resize>(a, nullptr, 1), a.y.as<T>(), a.y.shape,
                                           all_aligned({a.y.data}), !s.device_bodies());
  for_each(s, a.y.shape.rows(), kernel, kBlockChannels);
}

}  // namespace

void preprocess(Stream& s, const PreprocessArgs& a) {
  TT_CHECK(a.x.dtype == DType::u8 && a.x.shape.c == kColours && a.y.shape.c == (a.blocks ? kBlockChannels : kColours) &&
               (a.index || a.x.shape.n == a.y.shape.n),
           ShapeError, "preprocess: x must be bytes with 3 channels and y share its batch, got ", to_string(a.x.shape),
           " of ", name_of(a.x.dtype), " and ", to_string(a.y.shape));
  TT_CHECK(!a.blocks || (a.y.shape.h > 3 && a.y.shape.w > 3), ShapeError, "preprocess: no block of pixels in ",
           to_string(a.y.shape));
  TT_CHECK(!a.index || (a.index.dtype == DType::i32 && a.index.shape.numel() == a.y.shape.n), ShapeError,
           "preprocess: index must be one i32 a sample, got ", to_string(a.index.shape));
  TT_CHECK(!a.flip || (a.flip.dtype == DType::u8 && a.flip.shape.numel() == a.y.shape.n), ShapeError,
           "preprocess: flip must be one byte a sample, got ", to_string(a.flip.shape));
  if (a.y.shape.numel() == 0) return;
  TT_CHECK(a.x.shape.numel() > 0, ShapeError, "preprocess: an empty image ", to_string(a.x.shape));
  visit_float(a.y.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (a.blocks) {
      keeps_size(a) ? run_blocks<T, false>(s, a) : run_blocks<T, true>(s, a);
    } else if (keeps_size(a) && s.device_bodies() && a.y.shape.w % kChunk == 0) {
      run_normalise_eight<T>(s, a);
    } else if (keeps_size(a) && !s.device_bodies()) {
      const NormaliseRow<T> kernel(source_of(a), a.y.as<T>(), a.y.shape, Colours<acc_t<T>>(a));
      // Not by for_each: on a GPU nothing runs it, and compiled for one it would take a stack.
      host_for_each(int64_t(a.y.shape.n) * a.y.shape.h, kernel, int64_t(a.y.shape.w) * kColours, s.threads());
    } else if (keeps_size(a)) {
      run_preprocess<T, false>(s, a);
    } else {
      run_preprocess<T, true>(s, a);
    }
  });
}

}  // namespace telltale
