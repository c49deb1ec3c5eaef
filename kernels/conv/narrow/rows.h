#pragma once
// A thread's window on a tensor's rows: the few it works on, in f32 and with zeros around them.
#include <algorithm>

#include "kernels/conv/narrow/tiles.h"
#include "kernels/device/half.h"

namespace telltale::narrow {

/// Numbers from pixel to pixel of a row in f32, for this many channels (at most the last of kSteps).
inline int step_of(int channels) { return *std::lower_bound(std::begin(kSteps), std::end(kSteps), channels); }
inline int vectors_of(int channels) { return (channels + kLanes - 1) / kLanes; }

/// How rows lie in the window: pixel by pixel, or channel by channel. A stride is undone: plane p holds the columns p,
/// p + planes, …, so that neighbours of a plane are a stride apart.
struct RowLayout {
  int width = 0, channels = 0;  ///< of the tensor
  int step = 0;                 ///< numbers from pixel to pixel
  bool by_channel = false;      ///< a plane holds the pixels of one channel after those of another; step is 1
  int planes = 1;
  int margin = 0;        ///< zeros before each plane, pixels
  int plane_pixels = 0;  ///< with the margins, of one channel
  int rows = 1;          ///< that the window keeps at once
  size_t plane_size() const { return size_t(plane_pixels) * (by_channel ? channels : step); }
  size_t row_size() const { return plane_size() * size_t(planes); }
  /// Numbers; those past the last row are read by whole vectors, and not used.
  size_t size() const { return row_size() * size_t(rows) + kPixels * size_t(step) + kFewPixels; }
};

template <class T>
class RowWindow {
 public:
  /// `data`: layout.size() numbers; `held`: layout.rows of them. The tensor's first row is row 0, whatever the image.
  RowWindow(const RowLayout& layout, const T* tensor, float* data, int64_t* held)
      : layout_(layout), tensor_(tensor), data_(data), held_(held) {
    std::fill(data, data + layout.size(), 0.f);
    std::fill(held, held + layout.rows, int64_t(-1));
  }
  /// The row's plane, from its first pixel (and channel) on, valid until layout.rows other rows were asked for.
  const float* plane(int64_t row, int plane) {
    const int64_t slot = row % layout_.rows;
    float* at = data_ + size_t(slot) * layout_.row_size();
    if (held_[slot] != row) fill(at, tensor_ + row * layout_.width * layout_.channels);
    held_[slot] = row;
    return at + size_t(plane) * layout_.plane_size() + size_t(layout_.margin) * layout_.step;
  }

 private:
  void fill(float* to, const T* from) const {
    const int c = layout_.channels, step = layout_.step;
    for (int p = 0; p < layout_.planes; ++p) {
      float* at = to + size_t(p) * layout_.plane_size() + size_t(layout_.margin) * step;
      if (layout_.by_channel) {
        fill_channels(at, from, p);
        continue;
      }
      if (layout_.planes == 1 && c == step) {
        const int count = layout_.width * c;
#pragma omp simd
        for (int i = 0; i < count; ++i) at[i] = load(from[i]);
        continue;
      }
      for (int column = p; column < layout_.width; column += layout_.planes, at += step) {
        const T* pixel = from + int64_t(column) * c;
        for (int i = 0; i < c; ++i) at[i] = load(pixel[i]);
      }
    }
  }

  /// The columns p, p + planes, … of a row, each channel's together. A block at a time, so that both sides stay in the
  /// nearest cache.
  void fill_channels(float* to, const T* from, int p) const {
    constexpr int kBlock = 64;
    const int planes = layout_.planes, c = layout_.channels, count = (layout_.width - p + planes - 1) / planes;
    for (int first = 0; first < count; first += kBlock) {
      const int last = std::min(count, first + kBlock);
      for (int i = 0; i < c; ++i) {
        float* at = to + size_t(i) * layout_.plane_pixels;
        const T* pixel = from + int64_t(p) * c + i;
        for (int q = first; q < last; ++q) at[q] = load(pixel[int64_t(q) * planes * c]);
      }
    }
  }

  RowLayout layout_;
  const T* tensor_;
  float* data_;
  int64_t* held_;
};

}  // namespace telltale::narrow
