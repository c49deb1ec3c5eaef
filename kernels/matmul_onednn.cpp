#include "kernels/matmul.h"

namespace telltale::cpu {
void linear_forward(Stream& s, const LinearArgs& a) { ref::linear_forward(s, a); }
void linear_backward(Stream& s, const LinearGradArgs& a) { ref::linear_backward(s, a); }
void gemm(Stream& s, const GemmArgs& a) { ref::gemm(s, a); }
}  // namespace telltale::cpu
