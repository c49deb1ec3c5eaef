#pragma once
// A gated convolution by cuDNN with the gate in the convolution's epilogue.
#include "kernels/conv/cudnn/operation.h"
#include "kernels/conv/gated.h"

namespace telltale::cudnn {

/// Runs `plain`, the same by several kernels, where cuDNN has no such operation, where it is slower than `plain`, where
/// its first result is another, and where so little is to do that compiling it would take longer than it ever saves.
void gated_conv_forward(Stream&, const GatedConvArgs&, void (*plain)(Stream&, const GatedConvArgs&));

/// The second of its two convolutions, of K channels, whose epilogue gates. In 16 bits its bias, too, is in 16 bits.
ConvOp gated_values_op(const GatedConvArgs&, int alignment, bool tf32);

}  // namespace telltale::cudnn
