#pragma once
// cuDNN's convolution of a part of a packed filter.
#include "kernels/conv/conv.h"
#include "kernels/conv/cudnn/run.h"

namespace telltale::cudnn {

/// A filter that conv_pack packed in 16 bits is the filter as it was and, this many bytes from its start, the bias in
/// the filter's type.
inline size_t packed_bias_offset(const Tensor& w) { return aligned(w.bytes()); }

/// telltale::conv_forward on a GPU of what holds anything, in f32, bf16 or f16: a.w is read, a.packed is not.
/// `rounded_bias` is a.bias in x's type, or null where nobody rounded it; f32 does without.
void conv_forward(Stream&, const ConvArgs& a, void* rounded_bias);

}  // namespace telltale::cudnn
