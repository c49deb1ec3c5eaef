#include "kernels/conv/conv.h"

namespace telltale {

Shape conv_output(const Shape& x, const Shape& w, const ConvGeometry& g) {
  TT_CHECK(x.c == w.c, ShapeError, "convolution: the input has ", x.c, " channels, the filter ", to_string(w),
           " expects ", w.c);
  TT_CHECK(g.stride >= 1 && g.dilation >= 1 && g.pad >= 0 && g.more_pad >= 0, ShapeError, "convolution: stride ",
           g.stride, ", dilation ", g.dilation, ", pad ", g.pad, " and ", g.more_pad,
           " more; want at least 1, 1, 0 and 0");
  const auto extent = [&](int in, int taps) {
    const int span = in + 2 * g.pad + g.more_pad - g.dilation * (taps - 1) - 1;
    return span < 0 ? 0 : span / g.stride + 1;
  };
  const Shape y{x.n, extent(x.h, w.h), extent(x.w, w.w), w.n};
  TT_CHECK(y.h > 0 && y.w > 0 && y.c > 0 && w.h > 0 && w.w > 0, ShapeError, "convolution: input ", to_string(x),
           " is smaller than filter ", to_string(w), " with pad ", g.pad, " and dilation ", g.dilation);
  return y;
}

namespace {
void check_vector(const char* name, const Tensor& v, int c, DType t) {
  TT_CHECK(v.shape == (Shape{1, 1, 1, c}) && v.dtype == t, ShapeError, "convolution: ", name, " is ",
           to_string(v.shape), " ", name_of(v.dtype), ", expected ", to_string({1, 1, 1, c}), " ", name_of(t));
}
void check_same(const char* name, const Tensor& v, const Shape& shape, DType t) {
  TT_CHECK(v.shape == shape && v.dtype == t, ShapeError, "convolution: ", name, " is ", to_string(v.shape), " ",
           name_of(v.dtype), ", expected ", to_string(shape), " ", name_of(t));
}
}  // namespace

void check(const ConvArgs& a) {
  const Shape y = conv_output(a.x.shape, a.w.shape, a.geometry);
  check_same("the filter", a.w, a.w.shape, a.x.dtype);
  check_same("y", a.y, y, a.x.dtype);
  if (a.bias) check_vector("the bias", a.bias, y.c, accumulator_of(a.x.dtype));
  if (a.residual) check_same("the residual", a.residual, y, a.x.dtype);
}

void check(const ConvGradArgs& a) {
  const Shape y = conv_output(a.x.shape, a.w.shape, a.geometry);
  check_same("the filter", a.w, a.w.shape, a.x.dtype);
  check_same("dy", a.dy, y, a.x.dtype);
  if (a.dx) check_same("dx", a.dx, a.x.shape, a.x.dtype);
  if (a.dw) check_same("dw", a.dw, a.w.shape, accumulator_of(a.x.dtype));
  if (a.dbias) check_vector("dbias", a.dbias, y.c, accumulator_of(a.x.dtype));
}

}  // namespace telltale
