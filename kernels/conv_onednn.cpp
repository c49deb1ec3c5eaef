#include "kernels/conv.h"

namespace telltale::cpu {
void conv_forward(Stream& s, const ConvArgs& a) { ref::conv_forward(s, a); }
void conv_backward(Stream& s, const ConvGradArgs& a) { ref::conv_backward(s, a); }
size_t conv_packed_bytes(Stream&, const ConvArgs&) { return 0; }
void conv_pack(Stream&, const ConvArgs&, Tensor) {}
}  // namespace telltale::cpu
