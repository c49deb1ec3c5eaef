#pragma once
// What cuDNN runs as one operation of a batch norm and a convolution, on a GPU and in f16.
#include "kernels/conv/norm.h"

namespace telltale::cudnn {

/// Each runs `plain`, the same by several kernels, where cuDNN has no such operation, where it is slower than `plain`,
/// and where its first result is another: that is found out on the first call of each operation and shape.
bool conv_norm_forward(Stream&, const ConvNormArgs&, void (*plain)(Stream&, const ConvNormArgs&));
void conv_norm_filter_gradient(Stream&, const ConvNormGradArgs&, void (*plain)(Stream&, const ConvNormGradArgs&));
void conv_norm_input_gradient(Stream&, const ConvNormGradArgs&, void (*plain)(Stream&, const ConvNormGradArgs&));

}  // namespace telltale::cudnn
