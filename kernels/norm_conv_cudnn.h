#pragma once
// What cuDNN runs as one operation of a batch norm and a convolution, on a GPU and in f16.
#include "kernels/norm_conv.h"

namespace telltale::cudnn {

/// Each runs `plain`, the same by several kernels, where cuDNN has no such operation, where it is slower than `plain`,
/// and where its first result is another: that is found out on the first call of each operation and shape.
bool norm_conv_forward(Stream&, const NormConvArgs&, void (*plain)(Stream&, const NormConvArgs&));
void norm_conv_filter_gradient(Stream&, const NormConvGradArgs&, void (*plain)(Stream&, const NormConvGradArgs&));
void norm_conv_input_gradient(Stream&, const NormConvGradArgs&, void (*plain)(Stream&, const NormConvGradArgs&));

}  // namespace telltale::cudnn
