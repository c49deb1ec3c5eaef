#pragma once
// Fully connected layers of bf16 on processors with AMX. Their matrices are larger than any cache and used once a
// step, so that they are read where they lie.
#include "kernels/matmul/matmul.h"

namespace telltale::amx {

/// Whether these kernels run the layer here: bf16, rows of whole tiles, and AMX as convolution.h's fits().
bool fits(const LinearArgs&);
bool fits(const LinearGradArgs&);

/// As cpu::linear_forward, of arguments that fit.
void linear_forward(Stream&, const LinearArgs& a);
/// dx of cpu::linear_backward.
void linear_input_gradient(Stream&, const LinearGradArgs& a);
/// dw of cpu::linear_backward.
void linear_filter_gradient(Stream&, const LinearGradArgs& a);

}  // namespace telltale::amx
