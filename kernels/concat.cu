#include "kernels/concat.h"
#include "kernels/device/launch.h"
#include "kernels/parts/channel_chunks.h"

namespace telltale {
namespace {

/// Copies or adds channels of a pixel to another tensor's; the strides are the two tensors' channels.
template <class T>
struct MoveChannels {
  const T* from;
  T* to;
  int from_stride, to_stride;
  ChannelChunks chunks;
  bool aligned, accumulate;
  TT_HD void operator()(int64_t i) const {
    const int64_t pixel = chunks.pixel(i);
    const T* source = from + pixel * from_stride;
    T* target = to + pixel * to_stride;
    chunks.each(i, pixel, [&](int c, int count) {
      if (accumulate) {
        store_gradient(target + c, load_chunk(source + c, count, aligned), count, aligned, true);
      } else {
        copy_chunk(target + c, source + c, count, aligned);
      }
    });
  }
};

/// Throws unless the parts' channels fill the whole exactly.
void check_parts(const char* name, std::span<const Tensor> parts, const Tensor& whole) {
  int64_t channels = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Shape &p = parts[i].shape, &w = whole.shape;
    TT_CHECK(p.n == w.n && p.h == w.h && p.w == w.w && parts[i].dtype == whole.dtype, ShapeError, name, ": part ", i,
             " is ", to_string(p), " of ", name_of(parts[i].dtype), ", the whole ", to_string(w), " of ",
             name_of(whole.dtype), "; they must share all but the channels");
    channels += p.c;
  }
  TT_CHECK(channels == whole.shape.c, ShapeError, name, ": the parts have ", channels, " channels, the whole ",
           whole.shape.c);
}

void move_channels(Stream& s, Tensor from, int from_channel, Tensor to, int to_channel, int channels, bool accumulate) {
  visit_float(to.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const ChannelChunks chunks(s, channels);
    const T* source = from.as<const T>() + from_channel;
    T* target = to.as<T>() + to_channel;
    const auto whole_words = [](const Tensor& t) { return size_t(t.shape.c) * sizeof(T) % 16 == 0; };
    const bool aligned = all_aligned({source, target}) && whole_words(from) && whole_words(to);
    for_each(s, to.shape.rows() * chunks.per_pixel,
             MoveChannels<T>{source, target, from.shape.c, to.shape.c, chunks, aligned, accumulate}, chunks.size);
  });
}

}  // namespace

void concat_forward(Stream& s, std::span<const Tensor> x, Tensor y) {
  check_parts("concat_forward", x, y);
  int channel = 0;
  for (const Tensor& part : x) {
    move_channels(s, part, 0, y, channel, part.shape.c, false);
    channel += part.shape.c;
  }
}

void concat_backward(Stream& s, Tensor dy, std::span<const Tensor> dx, std::span<const GradMode> modes) {
  check_parts("concat_backward", dx, dy);
  TT_CHECK(modes.size() == dx.size(), ShapeError, "concat_backward: ", dx.size(), " gradients but ", modes.size(),
           " modes");
  int channel = 0;
  for (size_t i = 0; i < dx.size(); ++i) {
    if (modes[i] != GradMode::ignore)
      move_channels(s, dy, channel, dx[i], 0, dx[i].shape.c, modes[i] == GradMode::accumulate);
    channel += dx[i].shape.c;
  }
}

}  // namespace telltale
