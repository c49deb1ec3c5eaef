#include "kernels/device/launch.h"
#include "kernels/parts/channel_chunks.h"
#include "kernels/window.h"

namespace telltale {
namespace {

/// Where a sample's window begins, in places.
struct Corners {
  const int32_t* corner;
  int stride, most_h, most_w;
  TT_HD static int64_t inside(int at, int most) { return at < 0 ? 0 : at < most ? at : most; }
  TT_HD int64_t row(int64_t n) const { return inside(corner[2 * n] / stride, most_h); }
  TT_HD int64_t column(int64_t n) const { return inside(corner[2 * n + 1] / stride, most_w); }
};

struct Place {
  int64_t n, h, w;
};
TT_HD inline Place place_of(int64_t pixel, const Shape& s) {
  const int64_t line = divide(pixel, s.w), n = divide(line, s.h);
  return {n, line - n * s.h, pixel - line * s.w};
}
TT_HD inline int64_t offset_of(const Place& p, const Shape& s) { return ((p.n * s.h + p.h) * s.w + p.w) * s.c; }

template <class T>
struct Crop {
  const T* x;
  T* y;
  Shape from, to;
  Corners corners;
  ChannelChunks chunks;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t pixel = chunks.pixel(i);
    Place p = place_of(pixel, to);
    p.h += corners.row(p.n);
    p.w += corners.column(p.n);
    const T* source = x + offset_of(p, from);
    T* target = y + pixel * to.c;
    chunks.each(i, pixel, [&](int c, int count) { copy_chunk(target + c, source + c, count, aligned); });
  }
};

template <class T>
struct Blend {
  const T *a, *b, *m;
  T* y;
  Shape image, window;
  Corners corners;
  ChannelChunks chunks;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const int64_t pixel = chunks.pixel(i);
    Place p = place_of(pixel, image);
    p.h -= corners.row(p.n);
    p.w -= corners.column(p.n);
    const bool known = p.h >= 0 && p.h < window.h && p.w >= 0 && p.w < window.w;
    const A weight = known ? load(m[pixel]) : A(0);
    const T* inside = known ? b + offset_of(p, window) : nullptr;
    chunks.each(i, pixel, [&](int c, int count) {
      Chunk<A> v = load_chunk(a + pixel * image.c + c, count, aligned);
      if (known) {
        const Chunk<A> other = load_chunk(inside + c, count, aligned);
        each_in_chunk([&](int k) { v[k] = v[k] * (1 - weight) + other[k] * weight; });
      }
      store_chunk(y + pixel * image.c + c, v, count, aligned);
    });
  }
};

template <class T>
bool whole_words(int channels, std::initializer_list<const void*> pointers) {
  return size_t(channels) * sizeof(T) % 16 == 0 && all_aligned(pointers);
}

Corners checked_corners(const char* name, const Tensor& whole, const Tensor& part, const Tensor& corner, int stride) {
  const Shape &w = whole.shape, &p = part.shape;
  TT_CHECK(p.n == w.n && p.c == w.c && part.dtype == whole.dtype && p.h <= w.h && p.w <= w.w, ShapeError, name,
           ": a window of ", to_string(p), " ", name_of(part.dtype), " does not fit ", to_string(w), " ",
           name_of(whole.dtype));
  TT_CHECK((corner.shape == Shape{w.n, 1, 1, 2}) && corner.dtype == DType::i32, ShapeError, name, ": corner is ",
           to_string(corner.shape), " ", name_of(corner.dtype), ", expected ", to_string(Shape{w.n, 1, 1, 2}), " ",
           name_of(DType::i32));
  TT_CHECK(stride > 0, ShapeError, name, ": stride must be positive, got ", stride);
  return {corner.as<const int32_t>(), stride, w.h - p.h, w.w - p.w};
}

}  // namespace

void window_crop(Stream& s, Tensor x, Tensor corner, int stride, Tensor y) {
  const Corners corners = checked_corners("window_crop", x, y, corner, stride);
  visit_float(x.dtype, [&]<class T>(Tag<T>) {
    const ChannelChunks chunks(s, y.shape.c);
    for_each(s, y.shape.rows() * chunks.per_pixel,
             Crop<T>{x.as<const T>(), y.as<T>(), x.shape, y.shape, corners, chunks,
                     whole_words<T>(y.shape.c, {x.data, y.data})},
             chunks.size);
  });
}

void window_blend(Stream& s, const WindowBlendArgs& a) {
  const Corners corners = checked_corners("window_blend", a.a, a.b, a.corner, 1);
  const Shape& image = a.a.shape;
  TT_CHECK((a.m.shape == Shape{image.n, image.h, image.w, 1}) && a.m.dtype == a.a.dtype, ShapeError,
           "window_blend: the mask is ", to_string(a.m.shape), " ", name_of(a.m.dtype), ", the image ",
           to_string(image), " ", name_of(a.a.dtype));
  TT_CHECK(a.y.shape == image && a.y.dtype == a.a.dtype, ShapeError, "window_blend: y is ", to_string(a.y.shape), " ",
           name_of(a.y.dtype), ", the image ", to_string(image), " ", name_of(a.a.dtype));
  visit_float(a.a.dtype, [&]<class T>(Tag<T>) {
    const ChannelChunks chunks(s, image.c);
    for_each(s, image.rows() * chunks.per_pixel,
             Blend<T>{a.a.as<const T>(), a.b.as<const T>(), a.m.as<const T>(), a.y.as<T>(), image, a.b.shape, corners,
                      chunks, whole_words<T>(image.c, {a.a.data, a.b.data, a.y.data})},
             chunks.size);
  });
}

}  // namespace telltale
