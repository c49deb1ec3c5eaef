#include "kernels/device/launch.h"
#include "kernels/space_to_depth.h"

namespace telltale {
namespace {

constexpr int kColours = 3, kSize = 7, kBlocks = 4;

/// One index is one number of the 4×4 filter. The first pixel row of the first block lies before the 7×7 filter.
template <class T>
struct Spread {
  const T* w;
  T* y;
  TT_HD void operator()(int64_t i) const {
    const int channel = int(i % kBlockChannels), pixel = channel / kColours, colour = channel % kColours;
    const int64_t block = i / kBlockChannels, filter = block / (kBlocks * kBlocks);
    const int row = 2 * int(block / kBlocks % kBlocks) + pixel / 2 - 1;
    const int column = 2 * int(block % kBlocks) + pixel % 2 - 1;
    const bool tap = pixel < 4 && row >= 0 && column >= 0;
    y[i] = tap ? w[((filter * kSize + row) * kSize + column) * kColours + colour] : store<T>(acc_t<T>(0));
  }
};

/// One index is one number of the 7×7 filter.
template <class T>
struct Gather {
  const T* dy;
  T* dw;
  bool accumulate;
  TT_HD void operator()(int64_t i) const {
    const int colour = int(i % kColours);
    const int64_t tap = i / kColours, filter = tap / (kSize * kSize);
    const int row = int(tap / kSize % kSize) + 1, column = int(tap % kSize) + 1;
    const int64_t block = (filter * kBlocks + row / 2) * kBlocks + column / 2;
    const T value = dy[block * kBlockChannels + (row % 2 * 2 + column % 2) * kColours + colour];
    dw[i] = accumulate ? store<T>(load(dw[i]) + load(value)) : value;
  }
};

void check_filters(const char* name, const Tensor& wide, const Tensor& blocks) {
  const int filters = wide.shape.n;
  TT_CHECK((wide.shape == Shape{filters, kSize, kSize, kColours}) && blocks.shape == blocks_filter_shape(filters) &&
               wide.dtype == blocks.dtype,
           ShapeError, name, ": no 4x4 filter of blocks ", to_string(blocks.shape), " ", name_of(blocks.dtype),
           " stands for a 7x7 filter ", to_string(wide.shape), " ", name_of(wide.dtype));
}

}  // namespace

void blocks_filter(Stream& s, Tensor w, Tensor y) {
  check_filters("blocks_filter", w, y);
  visit_float(w.dtype, [&]<class T>(Tag<T>) { for_each(s, y.shape.numel(), Spread<T>{w.as<const T>(), y.as<T>()}); });
}

void blocks_filter_gradient(Stream& s, Tensor dy, Tensor dw, GradMode mode) {
  check_filters("blocks_filter_gradient", dw, dy);
  if (mode == GradMode::ignore) return;
  visit_float(dw.dtype, [&]<class T>(Tag<T>) {
    for_each(s, dw.shape.numel(), Gather<T>{dy.as<const T>(), dw.as<T>(), mode == GradMode::accumulate});
  });
}

}  // namespace telltale
