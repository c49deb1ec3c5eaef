#include "kernels/conv/cudnn/operation.h"

namespace telltale::cudnn {
namespace {

using Kind = ConvOp::Kind;

ConvOp plain(Kind kind, const Tensor& x, const Shape& w, const Shape& y, const ConvGeometry& g, int alignment,
             bool tf32) {
  ConvOp op{.kind = kind, .x = x.shape, .w = w, .y = y, .geometry = g, .dtype = x.dtype};
  op.alignment = alignment;
  op.tf32 = tf32 && x.dtype == DType::f32;
  return op;
}

}  // namespace

std::string ConvOp::key() const {
  static const char* const kinds[] = {"forward", "input_grad", "filter_grad"};
  static const char* const acts[] = {"", " relu", " elu", " sigmoid", " tanh"};
  const ConvGeometry& g = geometry;
  return cat(kinds[int(kind)], " ", tf32 ? "tf32" : name_of(dtype), " ", to_string(x), "x", to_string(w), " s",
             g.stride, "p", g.pad, "+", g.more_pad, "d", g.dilation, residual ? " residual" : "", bias ? " bias" : "",
             acts[int(act)], gate ? " gate" : "", add ? " add" : "", norm ? " norm" : "", sums ? " sums" : "", " a",
             alignment);
}

ConvOp forward_op(const ConvArgs& a, int alignment, bool tf32) {
  ConvOp op = plain(Kind::forward, a.x, a.w.shape, a.y.shape, a.geometry, alignment, tf32);
  op.act = a.act == Act::relu ? Act::relu : Act::none;
  op.residual = bool(a.residual);
  op.bias = a.bias || op.residual || op.act != Act::none;
  return op;
}

ConvOp input_grad_op(const ConvGradArgs& a, int alignment, bool tf32) {
  ConvOp op = plain(Kind::input_grad, a.x, a.w.shape, a.dy.shape, a.geometry, alignment, tf32);
  op.add = a.dx_mode == GradMode::accumulate;
  return op;
}

ConvOp filter_grad_op(const ConvGradArgs& a, int alignment, bool tf32) {
  ConvOp op = plain(Kind::filter_grad, a.x, a.w.shape, a.dy.shape, a.geometry, alignment, tf32);
  op.add = a.dw_mode == GradMode::accumulate && size_of(a.x.dtype) > 2;
  return op;
}

}  // namespace telltale::cudnn
