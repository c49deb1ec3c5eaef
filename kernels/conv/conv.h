#pragma once
// 2-D convolution (cross-correlation, as every framework calls it) with bias, residual and activation in the epilogue.
#include "kernels/device/dispatch.h"

namespace telltale {

/// Stride, zero padding and dilation, equal along rows and columns.
struct ConvGeometry {
  int stride = 1, pad = 0, dilation = 1;
  int more_pad = 0;  ///< zeros at the bottom and right beyond `pad`: TensorFlow's SAME at stride 2 is pad 0, more_pad 1
  bool operator==(const ConvGeometry&) const = default;
};
/// Output {N, (H + 2·pad + more_pad − dilation·(R−1) − 1)/stride + 1, …, K} of x {N,H,W,C} under filter {K,R,S,C};
/// throws ShapeError on a channel mismatch or an empty output.
Shape conv_output(const Shape& x, const Shape& w, const ConvGeometry& g);

/// y = act(conv(x, w) + bias + residual).
struct ConvArgs {
  Tensor x{};         ///< {N,H,W,C}, any floating-point type
  Tensor w{};         ///< {K,R,S,C}, x's type
  Tensor bias{};      ///< optional {1,1,1,K}, accumulator_of(x's type)
  Tensor residual{};  ///< optional, y's shape and type; may be y
  Tensor y{};         ///< conv_output(...), x's type; assigned
  ConvGeometry geometry;
  Act act = Act::none;
  Tensor packed{};  ///< optional: what conv_pack made of w; the filter is then read from there only
};

/// dx, dw, dbias of conv(x, w) + bias from dy (already through the activation).
struct ConvGradArgs {
  Tensor x{}, w{};  ///< as in ConvArgs; x is read by dw only, w by dx only
  Tensor dy{};      ///< {N,Ho,Wo,K}
  Tensor dx{};      ///< optional, x's shape and type, obeying dx_mode
  Tensor dw{};      ///< optional, w's shape, accumulator_of(x's type), obeying dw_mode
  Tensor dbias{};   ///< optional, {1,1,1,K}, accumulator type, obeying dw_mode
  ConvGeometry geometry;
  GradMode dx_mode = GradMode::overwrite, dw_mode = GradMode::overwrite;
};

/// Throw ShapeError where shapes or types disagree, naming the tensor. Every twin calls these first.
void check(const ConvArgs&);
void check(const ConvGradArgs&);

namespace cpu {
void conv_forward(Stream&, const ConvArgs&);
void conv_backward(Stream&, const ConvGradArgs&);
size_t conv_packed_bytes(Stream&, const ConvArgs&);
void conv_pack(Stream&, const ConvArgs&, Tensor packed);
}  // namespace cpu
namespace cuda {
void conv_forward(Stream&, const ConvArgs&);
void conv_backward(Stream&, const ConvGradArgs&);
size_t conv_packed_bytes(Stream&, const ConvArgs&);
void conv_pack(Stream&, const ConvArgs&, Tensor packed);
}  // namespace cuda
/// The naive oracle: one thread per output, any type, either device.
namespace ref {
void conv_forward(Stream&, const ConvArgs&);
void conv_backward(Stream&, const ConvGradArgs&);
}  // namespace ref

inline void conv_forward(Stream& s, const ConvArgs& a) { TT_DISPATCH(s, conv_forward(s, a)); }
inline void conv_backward(Stream& s, const ConvGradArgs& a) { TT_DISPATCH(s, conv_backward(s, a)); }
/// Bytes that conv_pack wants for this filter and shape; 0 where the device reads filters as they are. Data pointers of
/// `a` are not read.
inline size_t conv_packed_bytes(Stream& s, const ConvArgs& a) { return TT_DISPATCH(s, conv_packed_bytes(s, a)); }
/// Rearranges a.w once for many conv_forward calls of the same shapes and epilogue; packed holds conv_packed_bytes.
inline void conv_pack(Stream& s, const ConvArgs& a, Tensor packed) { TT_DISPATCH(s, conv_pack(s, a, packed)); }

}  // namespace telltale
