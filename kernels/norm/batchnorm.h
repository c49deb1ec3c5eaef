#pragma once
// Batch normalisation (Ioffe & Szegedy 2015) over N·H·W, fused with the residual addition and the activation that
// follow it in ResNets.
#include "kernels/device/dispatch.h"

namespace telltale {

/// Forward. A = accumulator_of(x's type); per-channel tensors are {1,1,1,C} of A.
struct BatchNormArgs {
  Tensor x;         ///< {N,H,W,C}
  Tensor y;         ///< x's shape and type; y = act(gamma·(x − mean)·rstd + beta + residual); may be x
  Tensor residual;  ///< optional, x's shape and type
  Tensor gamma, beta;
  Tensor mean, rstd;  ///< training: written (batch mean, 1/sqrt(biased variance + eps)); frozen: not used
  Tensor running_mean, running_var;  ///< training: ← (1−momentum)·old + momentum·new, variance unbiased; frozen: read
  Tensor batches;                    ///< optional {1,1,1,1} of A: training adds 1 (num_batches_tracked)
  float momentum = 0.1f, eps = 1e-5f;
  Act act = Act::none;  ///< none or relu
  Tensor passed{};      ///< optional, passed_shape(x) of u8: written, bit k of byte j where y > 0 in channel 8·j + k
};
/// Backward of either form. Relu's mask is `passed`, a sixteenth of y's bytes in 16 bits; where that is absent it is
/// computed anew from x, which takes beta and is right only where no residual was added.
struct BatchNormGradArgs {
  Tensor x, dy;
  Tensor passed;  ///< optional, what forward wrote
  Tensor gamma;
  Tensor beta;                       ///< read only where relu's mask is computed anew
  Tensor mean, rstd;                 ///< training: what forward wrote; frozen: absent
  Tensor running_mean, running_var;  ///< frozen: read; training: absent
  Tensor dx;                         ///< optional, x's shape and type, obeying dx_mode; may be dy
  Tensor dresidual;                  ///< optional, likewise, obeying dresidual_mode
  Tensor dgamma, dbeta;              ///< optional, A, obeying dw_mode
  GradMode dx_mode = GradMode::overwrite, dresidual_mode = GradMode::overwrite, dw_mode = GradMode::overwrite;
  float eps = 1e-5f;
  Act act = Act::none;
};

/// Of relu's packed mask: a byte for eight channels, {N,H,W,⌈C/8⌉}.
constexpr Shape passed_shape(const Shape& x) { return {x.n, x.h, x.w, (x.c + 7) / 8}; }
/// Throws ShapeError where shapes or types don't fit together.
void check_batchnorm(const BatchNormArgs&);
void check_batchnorm(const BatchNormGradArgs&);
/// The same, for the training form and its halves.
void check_trained(const BatchNormArgs&);

namespace cpu {
void batchnorm_forward(Stream&, const BatchNormArgs&);
void batchnorm_statistics(Stream&, const BatchNormArgs&);
void batchnorm_apply(Stream&, const BatchNormArgs&);
void batchnorm_backward(Stream&, const BatchNormGradArgs&);
}  // namespace cpu
namespace cuda {
void batchnorm_forward(Stream&, const BatchNormArgs&);
void batchnorm_statistics(Stream&, const BatchNormArgs&);
void batchnorm_apply(Stream&, const BatchNormArgs&);
void batchnorm_backward(Stream&, const BatchNormGradArgs&);
}  // namespace cuda

/// Training form: statistics of this batch. Needs N·H·W ≥ 2 for the running variance (1 leaves it unchanged, as no
/// unbiased one exists).
inline void batchnorm_forward(Stream& s, const BatchNormArgs& a) { TT_DISPATCH(s, batchnorm_forward(s, a)); }
/// The training form's halves. The first leaves y alone (its data is not read) and writes all else; the second writes y
/// and the mask from the mean and rstd of the first.
inline void batchnorm_statistics(Stream& s, const BatchNormArgs& a) { TT_DISPATCH(s, batchnorm_statistics(s, a)); }
inline void batchnorm_apply(Stream& s, const BatchNormArgs& a) { TT_DISPATCH(s, batchnorm_apply(s, a)); }
/// Gradients through the batch statistics where mean and rstd are given, through the constants otherwise.
inline void batchnorm_backward(Stream& s, const BatchNormGradArgs& a) { TT_DISPATCH(s, batchnorm_backward(s, a)); }
/// Inference form: running statistics are constants; running_mean and running_var are only read.
void batchnorm_frozen(Stream&, const BatchNormArgs&);

}  // namespace telltale
