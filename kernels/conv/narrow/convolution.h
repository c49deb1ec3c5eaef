#pragma once
// Convolutions with few channels on the host. A library's kernels want sixteen channels and more on both sides; these
// run along rows of pixels instead, which they keep in f32 in the caches whatever type the tensors have in memory.
// Every sum is one chain of fused multiply-adds in the order taps, channels (filters' gradients: pixels).
#include "kernels/conv/conv.h"

namespace telltale::narrow {

/// Whether this processor and this file's kernels can run the convolution at all.
bool fits(const Shape& x, const Shape& w, DType);

/// Whether so few result channels lie side by side by pixels: the same sums as ever, and faster than a library's.
bool is_few(int result_channels);

/// As cpu::conv_forward of arguments that fit; activations none and relu only. Reads a.w, never a.packed.
void forward(Stream&, const ConvArgs& a);
/// dx of cpu::conv_backward.
void input_gradient(Stream&, const ConvGradArgs& a);
/// dw of cpu::conv_backward.
void filter_gradient(Stream&, const ConvGradArgs& a);

}  // namespace telltale::narrow
