#include "kernels/device/launch.h"
#include "kernels/gated_conv.h"
#include "kernels/parts/approximate_math.h"
#include "kernels/parts/channel_chunks.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

template <Act kAct>
struct ActTag {
  static constexpr Act act = kAct;
};
/// Calls f(ActTag<act>{}): one branch for eight values, and loops within f that fill vector registers.
template <class F>
TT_HD void with_act(Act act, const F& f) {
  switch (act) {
    case Act::none: return f(ActTag<Act::none>{});
    case Act::relu: return f(ActTag<Act::relu>{});
    case Act::elu: return f(ActTag<Act::elu>{});
    case Act::sigmoid: return f(ActTag<Act::sigmoid>{});
    case Act::tanh: return f(ActTag<Act::tanh>{});
  }
}

/// The gate's sigmoid and the value's activation: the GPU's approximations where 16 bits round their errors away.
template <class T>
TT_HD acc_t<T> open(acc_t<T> g) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  if constexpr (sizeof(T) == 2) return approximate_sigmoid<DeviceApproximations>(g);
#endif
  return sigmoid(g);
}
template <class T>
TT_HD acc_t<T> activated(Act act, acc_t<T> v) {
#if defined(__CUDA_ARCH__) || TT_FAKE_GPU
  if constexpr (sizeof(T) == 2) {
    if (act == Act::elu) return approximate_elu<DeviceApproximations>(v);
    if (act == Act::sigmoid) return open<T>(v);
  }
#endif
  return activate(act, v);
}

/// y[0..n) from as many values and, `channels` further, their gates.
template <class T>
TT_HD void gate(const T* value, int channels, T* y, int n, Act act, bool aligned) {
  Chunk<acc_t<T>> v = load_chunk(value, n, aligned);
  const Chunk<acc_t<T>> g = load_chunk(value + channels, n, aligned);
  with_act(act, [&](auto tag) {
    for (int k = 0; k < kChunk; ++k) v[k] = activated<T>(tag.act, v[k]) * open<T>(g[k]);
  });
  store_chunk(y, v, n, aligned);
}

template <class T>
struct GateForward {
  RowChunks chunks;
  const T* z;
  T* y;
  Act act;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const auto [row, c, n] = chunks.at(i);
    gate(z + row * 2 * chunks.c + c, chunks.c, y + row * chunks.c + c, n, act, aligned);
  }
};

/// Goes through z in the order of memory, where the quarters of a place lie side by side: y in its order would leave
/// the host's prefetchers behind, at six times the time.
template <class T>
struct GateUpsampledForward {
  ChannelChunks chunks;  // of y
  const T* z;
  T* y;
  int h, w;  // of y
  Act act;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t part = chunks.pixel(i), place = part / 4, line = divide(place, w / 2 + 1),
                  n = divide(line, h / 2 + 1);
    const int64_t row = 2 * (line - n * (h / 2 + 1)) - 1 + part % 4 / 2;
    const int64_t column = 2 * (place - line * (w / 2 + 1)) - 1 + part % 2;
    if (row < 0 || row >= h || column < 0 || column >= w) return;  // beyond the border
    const T* value = z + part * 2 * chunks.channels;
    T* pixel = y + ((n * h + row) * w + column) * chunks.channels;
    chunks.each(i, [&](int c, int count) { gate(value + c, chunks.channels, pixel + c, count, act, aligned); });
  }
};

template <class T>
struct GateBackward {
  RowChunks chunks;
  const T *z, *dy;
  T* dz;
  Act act;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const auto [row, c, n] = chunks.at(i);
    const int64_t value = row * 2 * chunks.c + c, gate = value + chunks.c;
    // Both parts are read before either gradient is written, so dz may be z.
    Chunk<acc_t<T>> a = load_chunk(z + value, n, aligned), g = load_chunk(z + gate, n, aligned);
    const Chunk<acc_t<T>> d = load_chunk(dy + row * chunks.c + c, n, aligned);
    with_act(act, [&](auto tag) {
      for (int k = 0; k < kChunk; ++k) {
        const acc_t<T> y = activated<T>(tag.act, a[k]), opened = open<T>(g[k]);
        a[k] = d[k] * opened * activation_gradient(tag.act, y);
        g[k] = d[k] * y * activation_gradient(Act::sigmoid, opened);
      }
    });
    store_chunk(dz + value, a, n, aligned);
    store_chunk(dz + gate, g, n, aligned);
  }
};

void check(const GateArgs& a, const char* name, const Tensor& half, bool upsampled = false) {
  const Shape& z = a.z.shape;
  const Shape expected = upsampled ? Shape{z.n, 2 * (z.h - 1), 2 * (z.w - 1), z.c / 8} : Shape{z.n, z.h, z.w, z.c / 2};
  const int parts = upsampled ? 8 : 2;
  TT_CHECK(z.c % parts == 0, ShapeError, "gate: z ", to_string(z), " must have a multiple of ", parts, " channels");
  TT_CHECK(half.shape == expected && half.dtype == a.z.dtype, ShapeError, "gate: ", name, " is ", to_string(half.shape),
           " ", name_of(half.dtype), ", expected ", to_string(expected), " ", name_of(a.z.dtype));
}

/// Every chunk starts on 16 bytes: the pointers do, and a row is a whole number of them.
template <class T>
bool whole_words(int channels, std::initializer_list<const void*> pointers) {
  return size_t(channels) * sizeof(T) % 16 == 0 && all_aligned(pointers);
}

}  // namespace

void gate_forward(Stream& s, const GateArgs& a) {
  check(a, "y", a.y);
  visit_float(a.z.dtype, [&]<class T>(Tag<T>) {
    const RowChunks chunks(a.y.shape.rows(), a.y.shape.c);
    for_each(s, chunks.count(),
             GateForward<T>{chunks, a.z.as<T>(), a.y.as<T>(), a.act, whole_words<T>(chunks.c, {a.z.data, a.y.data})});
  });
}

void gate_upsampled_forward(Stream& s, const GateArgs& a) {
  check(a, "y", a.y, true);
  visit_float(a.z.dtype, [&]<class T>(Tag<T>) {
    const Shape& y = a.y.shape;
    const ChannelChunks chunks(s, y.c);
    for_each(s, a.z.shape.rows() * 4 * chunks.per_pixel,
             GateUpsampledForward<T>{chunks, a.z.as<T>(), a.y.as<T>(), y.h, y.w, a.act,
                                     whole_words<T>(y.c, {a.z.data, a.y.data})},
             chunks.size);
  });
}

void gate_backward(Stream& s, const GateArgs& a) {
  check(a, "dy", a.dy);
  TT_CHECK(a.dz.shape == a.z.shape && a.dz.dtype == a.z.dtype, ShapeError, "gate: dz is ", to_string(a.dz.shape), " ",
           name_of(a.dz.dtype), ", expected ", to_string(a.z.shape), " ", name_of(a.z.dtype));
  visit_float(a.z.dtype, [&]<class T>(Tag<T>) {
    const RowChunks chunks(a.dy.shape.rows(), a.dy.shape.c);
    for_each(s, chunks.count(),
             GateBackward<T>{chunks, a.z.as<T>(), a.dy.as<T>(), a.dz.as<T>(), a.act,
                             whole_words<T>(chunks.c, {a.z.data, a.dy.data, a.dz.data})});
  });
}

}  // namespace telltale
