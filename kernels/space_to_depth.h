#pragma once
// A network's stem by space-to-depth: the 7×7 convolution of stride 2 and pad 3 over three colours is a 4×4 convolution
// of stride 1 over blocks of 2×2 pixels, exactly; and 16 channels are what tensor cores take.
#include "kernels/device/dispatch.h"

namespace telltale {

/// Channels of a block: colour c of its pixel (p, q) is channel (2p + q)·3 + c; the last four are zero.
constexpr int kBlockChannels = 16;

/// Blocks {N,H/2+3,W/2+3,16} of images {N,H,W,3} of even height and width, with two blocks of zeros before and one
/// behind: the 4×4 convolution over them takes no padding.
constexpr Shape blocks_shape(const Shape& images) {
  return {images.n, images.h / 2 + 3, images.w / 2 + 3, kBlockChannels};
}
/// The 4×4 filter {K,4,4,16} that stands for one of 7×7.
constexpr Shape blocks_filter_shape(int filters) { return {filters, 4, 4, kBlockChannels}; }

/// y {K,4,4,16} = the filter w {K,7,7,3}, of one floating-point type, for blocks: each tap at its pixel of its block,
/// zeros elsewhere.
void blocks_filter(Stream&, Tensor w, Tensor y);
/// dw {K,7,7,3} from dy {K,4,4,16}, of one floating-point type, obeying `mode`: the reverse.
void blocks_filter_gradient(Stream&, Tensor dy, Tensor dw, GradMode mode);

}  // namespace telltale
