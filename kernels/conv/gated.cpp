#include "kernels/conv/gated.h"

#include "kernels/conv/amx/convolution.h"
#include "kernels/conv/cudnn/gated.h"
#include "kernels/gated_conv.h"

namespace telltale {
namespace {

ConvArgs conv_of(const GatedConvArgs& a) {
  ConvArgs c{.x = a.x, .w = a.w, .bias = a.bias, .residual = {}, .y = a.z, .geometry = a.geometry};
  c.packed = a.packed;
  return c;
}

void two_ops(Stream& s, const GatedConvArgs& a) {
  if (s.place() == Place::host && !s.device_bodies() && amx::fits_gated(conv_of(a), a.act))
    return amx::gated_forward(s, conv_of(a), a.y);
  conv_forward(s, conv_of(a));
  gate_forward(s, {.z = a.z, .y = a.y, .dy = {}, .dz = {}, .act = a.act});
}

}  // namespace

void check(const GatedConvArgs& a) {
  check(conv_of(a));
  TT_CHECK(a.w.shape.n % 2 == 0, ShapeError, "gated conv: w ", to_string(a.w.shape), " must have values and gates");
  const Shape& z = a.z.shape;
  TT_CHECK((a.y.shape == Shape{z.n, z.h, z.w, z.c / 2}) && a.y.dtype == a.z.dtype, ShapeError, "gated conv: y is ",
           to_string(a.y.shape), " ", name_of(a.y.dtype), ", expected half the channels of z ", to_string(z), " ",
           name_of(a.z.dtype));
}

void gated_conv_forward(Stream& s, const GatedConvArgs& a) {
  check(a);
  s.is_cuda() ? cudnn::gated_conv_forward(s, a, two_ops) : two_ops(s, a);
}

}  // namespace telltale
