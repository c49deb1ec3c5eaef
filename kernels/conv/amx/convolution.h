#pragma once
// Convolutions of bf16 on processors with AMX, on plain NHWC tensors. Rows of a source are copied side by side, with
// the zeros between them that a filter reads beyond their ends; from then on a filter's tap is a fixed distance, and 16
// pixels of any convolution are 16 rows of a tile, a fixed step apart. Sums are f32 and rounded once.
#include "kernels/conv/conv.h"

namespace telltale::amx {

/// Whether these kernels run convolutions of such tensors here: bf16, where has_fast_bf16() and the processor has
/// AMX; choose_loops() may say otherwise.
bool fits(DType);
/// The same of the gradient for x.
bool fits_input_gradient(DType, const ConvGeometry&);

/// For tests: who multiplies. `hardware`, where the processor has it, is the default; `plain_code` runs anywhere.
enum class Choice : uint8_t { hardware, plain_code };
void choose_loops(Choice);
bool has_hardware();

/// As cpu::conv_forward and its packing, of arguments that fit.
void forward(Stream&, const ConvArgs& a);
size_t packed_bytes(const ConvArgs& a);
void pack(Stream&, const ConvArgs& a, Tensor packed);
/// A convolution and its gates as one: `a` computes both, `act` aside; y has half its channels. Packed as a's filter.
bool fits_gated(const ConvArgs& a, Act act);
void gated_forward(Stream&, const ConvArgs& a, Tensor y);
/// dx of cpu::conv_backward.
void input_gradient(Stream&, const ConvGradArgs& a);
/// dw of cpu::conv_backward.
void filter_gradient(Stream&, const ConvGradArgs& a);

}  // namespace telltale::amx
