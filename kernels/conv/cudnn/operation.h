#pragma once
// Which of cuDNN's convolutions computes a call of ours.
#include <string>

#include "kernels/conv/conv.h"

namespace telltale::cudnn {

/// Everything a plan is made for; equal operations share one plan. Sums are in f32 throughout.
struct ConvOp {
  enum class Kind : uint8_t { forward, input_grad, filter_grad };
  Kind kind = Kind::forward;
  Shape x, w, y;  ///< of the convolution, also for its gradients; w is {K,R,S,C}
  ConvGeometry geometry;
  DType dtype = DType::f32;  ///< of every tensor, bias and dw included: f32, bf16 or f16
  bool tf32 = false;         ///< f32 operands may be rounded to 10 bits of mantissa
  /// forward only: y = act(conv + residual + bias).
  bool bias = false, residual = false;
  Act act = Act::none;
  bool gate = false;  ///< forward only: then multiplied by the sigmoid of a tensor like y
  bool add = false;   ///< gradients only: to what the result holds
  /// A batch norm with ReLU before the convolution: forward and filter_grad read x as relu(x·scale + shift), input_grad
  /// goes on through ReLU's gradient and gives the norm's weight gradients too. f16 only, forward with `sums` only.
  bool norm = false;
  bool sums = false;   ///< forward only: Σy and Σy² of each channel too; f16 only
  int alignment = 16;  ///< bytes that every pointer is a multiple of
  /// Names all of the above: the key of every cache.
  std::string key() const;
};

/// The operation of a call's convolution with as much of its epilogue as cuDNN has ready-made engines for: everything
/// but activations other than ReLU. It may ask for a bias that the call lacks, to be given as zeros: cuDNN adds
/// residuals and applies ReLU only beside one. In 16 bits the bias, too, is in 16 bits.
ConvOp forward_op(const ConvArgs&, int alignment, bool tf32);
/// dx as dx_mode says.
ConvOp input_grad_op(const ConvGradArgs&, int alignment, bool tf32);
/// dw as dw_mode says in f32; in 16 bits it is assigned, in 16 bits: cuDNN 9 has no other.
ConvOp filter_grad_op(const ConvGradArgs&, int alignment, bool tf32);

}  // namespace telltale::cudnn
