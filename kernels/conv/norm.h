#pragma once
// A convolution between two batch norms, as ResNets train it: the norm before it, with ReLU, is applied as the
// convolution reads, and the sums that the norm behind it needs are taken as the convolution writes.
#include "kernels/conv/conv.h"
#include "kernels/norm/batchnorm.h"

namespace telltale {

/// A batch norm once its batch is known: relu(gamma·(x − mean)·rstd + beta). {1,1,1,C} each, accumulator_of(x's type).
struct ChannelNorm {
  Tensor mean, rstd, gamma, beta;
  explicit operator bool() const { return bool(gamma); }
};

/// y = conv(relu(norm(x)), w), or conv(x, w) where there is no norm.
struct ConvNormArgs {
  Tensor x{};  ///< {N,H,W,C}, any floating-point type
  ChannelNorm norm{};
  Tensor w{};           ///< {K,R,S,C}, x's type
  Tensor y{};           ///< conv_output(...), x's type; assigned
  Tensor normalised{};  ///< beside a norm: scratch of x's shape and type
  Tensor sums{};        ///< optional {1,1,2,K}, accumulator type: may get Σy, then Σy², over N·H·W
  ConvGeometry geometry{};
};

/// Gradients of conv(relu(norm(x)), w), through the batch's statistics.
struct ConvNormGradArgs {
  Tensor x{};
  ChannelNorm norm{};
  Tensor w{}, dy{};
  Tensor dx{};               ///< x's shape and type; scratch, then assigned
  Tensor dw{};               ///< optional, w's shape, accumulator type, obeying dw_mode
  Tensor dgamma{}, dbeta{};  ///< {1,1,1,C}, accumulator type, obeying dw_mode
  ConvGeometry geometry{};
  GradMode dw_mode = GradMode::overwrite;
};

/// Throw ShapeError where shapes or types disagree, naming the tensor. Every twin calls these first.
void check(const ConvNormArgs&);
void check(const ConvNormGradArgs&);

namespace cpu {
bool conv_norm_forward(Stream&, const ConvNormArgs&);
void conv_norm_backward(Stream&, const ConvNormGradArgs&);
}  // namespace cpu
namespace cuda {
bool conv_norm_forward(Stream&, const ConvNormArgs&);
void conv_norm_backward(Stream&, const ConvNormGradArgs&);
}  // namespace cuda

/// Returns whether sums were written, the same on every call with the same shapes; where they were not,
/// batchnorm_statistics has to read y.
inline bool conv_norm_forward(Stream& s, const ConvNormArgs& a) { return TT_DISPATCH(s, conv_norm_forward(s, a)); }
inline void conv_norm_backward(Stream& s, const ConvNormGradArgs& a) { TT_DISPATCH(s, conv_norm_backward(s, a)); }

/// batchnorm_statistics from sums {1,1,2,C} of x instead of x, of which only the shape and type are read. Finished in
/// double: the variance is Σx²/n − mean², at least 0, and keeps about 7 − 2·log10(|mean|/deviation) digits of f32 sums.
void batchnorm_statistics_of(Stream&, const BatchNormArgs&, Tensor sums);
/// Σx and Σx² of each channel of x {N,H,W,C} in double: the plain form of what a convolution may give by the way.
void channel_sums(Stream&, Tensor x, Tensor sums);
/// relu(norm(x)) as relu(x·scale + shift), {1,1,1,C} of any one type. What f16 cannot hold, of a tiny variance or a
/// large mean, becomes its largest number: wrong, but finite.
void norm_as_scale(Stream&, const ChannelNorm&, Tensor scale, Tensor shift);
/// relu(x·scale + shift) of f16 with norm_as_scale's numbers in f16, as convolutions of a GPU that apply the norm
/// themselves compute it: so the plain form gives their numbers, and no ReLU turns between the two.
void norm_in_halves(Stream&, Tensor x, const ChannelNorm&, Tensor y);
/// The second half of conv_norm_backward: a.dx holds g, the gradient behind the norm's ReLU, and becomes x's; a.dgamma
/// and a.dbeta get sums {1,1,2,C} of f32 or f64: Σg·x̂, then Σg, with x̂ = (x − mean)·rstd.
void norm_input_gradient(Stream&, const ConvNormGradArgs& a, Tensor sums);

}  // namespace telltale
