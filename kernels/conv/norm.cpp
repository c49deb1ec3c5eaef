// The plain form, a batch norm and a convolution one after the other, which any device and type can run; and what a
// stream of device bodies does first.
#include "kernels/conv/norm.h"

#include "kernels/conv/cudnn/norm.h"

namespace telltale {
namespace {

ConvArgs conv_args(const ConvNormArgs& a) {
  return {.x = a.norm ? a.normalised : a.x, .w = a.w, .y = a.y, .geometry = a.geometry};
}

/// The norm's own arguments; running statistics and such are not touched by batchnorm_apply.
BatchNormArgs norm_args(const Tensor& x, const ChannelNorm& n, const Tensor& y) {
  return {.x = x,
          .y = y,
          .residual = {},
          .gamma = n.gamma,
          .beta = n.beta,
          .mean = n.mean,
          .rstd = n.rstd,
          .running_mean = n.mean,
          .running_var = n.rstd,
          .batches = {},
          .act = Act::relu};
}

void normalise(Stream& s, const Tensor& x, const ChannelNorm& n, const Tensor& y) {
  x.dtype == DType::f16 ? norm_in_halves(s, x, n, y) : batchnorm_apply(s, norm_args(x, n, y));
}

void plain_forward(Stream& s, const ConvNormArgs& a) {
  if (a.norm) normalise(s, a.x, a.norm, a.normalised);
  conv_forward(s, conv_args(a));
}

ConvGradArgs conv_grad_args(const ConvNormGradArgs& a) {
  return {.x = a.dx, .w = a.w, .dy = a.dy, .dx = {}, .dw = {}, .dbias = {}, .geometry = a.geometry};
}

void plain_filter_gradient(Stream& s, const ConvNormGradArgs& a) {
  normalise(s, a.x, a.norm, a.dx);
  ConvGradArgs g = conv_grad_args(a);
  g.dw = a.dw;
  g.dw_mode = a.dw_mode;
  g.dx_mode = GradMode::ignore;
  conv_backward(s, g);
}

void plain_input_gradient(Stream& s, const ConvNormGradArgs& a) {
  ConvGradArgs g = conv_grad_args(a);
  g.dx = a.dx;
  g.dw_mode = GradMode::ignore;
  conv_backward(s, g);
  BatchNormGradArgs n;
  n.x = a.x;
  n.dy = n.dx = a.dx;
  n.gamma = a.norm.gamma;
  n.beta = a.norm.beta;
  n.mean = a.norm.mean;
  n.rstd = a.norm.rstd;
  n.dgamma = a.dgamma;
  n.dbeta = a.dbeta;
  n.dw_mode = a.dw_mode;
  n.act = Act::relu;
  batchnorm_backward(s, n);
}

bool wants_dw(const ConvNormGradArgs& a) { return a.dw && a.dw_mode != GradMode::ignore; }

void check_like(const char* name, const Tensor& t, const Tensor& x) {
  TT_CHECK(t && t.shape == x.shape && t.dtype == x.dtype, ShapeError, "conv_norm: ", name, " must be like x, ",
           to_string(x.shape), " of ", name_of(x.dtype), ", got ", to_string(t.shape), " of ", name_of(t.dtype));
}

}  // namespace

void check(const ConvNormArgs& a) {
  check(conv_args(a));
  if (a.norm) {
    check_like("normalised", a.normalised, a.x);
    check_trained(norm_args(a.x, a.norm, a.normalised));
  }
  TT_CHECK(!a.sums || (a.sums.shape == Shape{1, 1, 2, a.w.shape.n} && a.sums.dtype == accumulator_of(a.x.dtype)),
           ShapeError, "conv_norm: sums must be [1,1,2,", a.w.shape.n, "] of ", name_of(accumulator_of(a.x.dtype)),
           ", got ", to_string(a.sums.shape), " of ", name_of(a.sums.dtype));
}

void check(const ConvNormGradArgs& a) {
  check_like("dx", a.dx, a.x);
  check_trained(norm_args(a.x, a.norm, a.dx));
  ConvGradArgs g = conv_grad_args(a);
  g.dx = a.dx;
  g.dw = a.dw;
  check(g);
}

namespace cpu {
bool conv_norm_forward(Stream& s, const ConvNormArgs& a) {
  check(a);
  plain_forward(s, a);
  return false;
}
void conv_norm_backward(Stream& s, const ConvNormGradArgs& a) {
  check(a);
  if (wants_dw(a)) plain_filter_gradient(s, a);
  plain_input_gradient(s, a);
}
}  // namespace cpu

namespace cuda {
bool conv_norm_forward(Stream& s, const ConvNormArgs& a) {
  check(a);
  if (s.is_cuda()) return cudnn::conv_norm_forward(s, a, plain_forward);
  plain_forward(s, a);
  if (a.sums) channel_sums(s, a.y, a.sums);  // emulation goes the way to the next norm that only a GPU goes
  return bool(a.sums);
}
void conv_norm_backward(Stream& s, const ConvNormGradArgs& a) {
  if (!s.is_cuda()) return cpu::conv_norm_backward(s, a);
  check(a);
  if (wants_dw(a)) cudnn::conv_norm_filter_gradient(s, a, plain_filter_gradient);
  cudnn::conv_norm_input_gradient(s, a, plain_input_gradient);
}
}  // namespace cuda

}  // namespace telltale
