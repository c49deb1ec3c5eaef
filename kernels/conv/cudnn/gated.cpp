#include "kernels/conv/cudnn/gated.h"

#if TT_CUDNN
#include "kernels/conv/cudnn/choice.h"
#include "kernels/conv/cudnn/convolution.h"
#include "kernels/parts/matrix_math.h"

namespace telltale::cudnn {
namespace {

/// cuDNN gates only by engines that it compiles at run time, anew in every process: a second for each shape. Operations
/// below this many FLOP, such as those of one image of 256², save microseconds.
constexpr double kWorthGating = 1e10;
constexpr int kCompiled = 2;  // plans that are compiled and timed for each operation

/// Channels of such engines come in vectors of 16 bytes.
bool is_whole_vectors(const Shape& s, DType t) { return size_t(s.c) * size_of(t) % 16 == 0; }

/// Half of the filters and what they make: 0 the values, 1 the gates.
struct Half {
  ConvArgs conv;
  void* rounded_bias = nullptr;  ///< conv.bias in 16 bits
  Half(const GatedConvArgs& a, int i)
      : conv{.x = a.x, .w = a.w, .bias = a.bias, .residual = {}, .y = a.y, .geometry = a.geometry} {
    const size_t channels = size_t(i) * size_t(a.y.shape.c);
    const Tensor w = a.packed ? Tensor{a.packed.data, a.w.shape, a.w.dtype} : a.w;
    conv.w = {w.as<char>() + size_t(i) * (w.bytes() / 2), {a.y.shape.c, w.shape.h, w.shape.w, w.shape.c}, w.dtype};
    conv.bias = {a.bias.as<float>() + channels, {1, 1, 1, a.y.shape.c}, DType::f32};
    if (a.packed) rounded_bias = w.as<char>() + packed_bias_offset(w) + channels * size_of(w.dtype);
  }
  void* bias() const { return rounded_bias ? rounded_bias : conv.bias.data; }
};

void run(Stream& s, const GatedConvArgs& a, const ConvGraph& graph, const Plan& plan) {
  const Half values(a, 0);
  Half gates(a, 1);
  gates.conv.y = {a.z.data, a.y.shape, a.y.dtype};
  conv_forward(s, gates.conv, gates.rounded_bias);
  ConvPointers p{.x = a.x.data, .w = values.conv.w.data, .y = a.y.data, .bias = values.bias()};
  p.gate = a.z.data;
  graph.run(plan, p, s.workspace(plan.workspace).data);
}

/// Whether cuDNN is worth asking.
bool may_fuse(const GatedConvArgs& a) {
  const DType t = a.x.dtype;
  const bool is_16_bit = size_of(t) == 2;
  const double flops = 2.0 * double(a.z.shape.numel()) * a.w.shape.h * a.w.shape.w * a.w.shape.c;
  return (t == DType::f32 || is_16_bit) && is_16_bit == bool(a.packed) && a.bias && flops >= kWorthGating &&
         a.act != Act::sigmoid && a.act != Act::tanh && is_whole_vectors(a.x.shape, t) &&
         is_whole_vectors(a.y.shape, t);
}

}  // namespace

ConvOp gated_values_op(const GatedConvArgs& a, int alignment, bool tf32) {
  ConvOp op = forward_op(Half(a, 0).conv, alignment, tf32);
  op.bias = true;
  op.act = a.act;
  op.gate = true;
  return op;
}

void gated_conv_forward(Stream& s, const GatedConvArgs& a, void (*plain)(Stream&, const GatedConvArgs&)) {
  if (!may_fuse(a)) return plain(s, a);
  const Half values(a, 0);
  const int alignment = alignment_of({a.x.data, values.conv.w.data, values.bias(), a.z.data, a.y.data});
  const FusedPlans::Entry* e = nullptr;
  if (alignment == 16) {
    const ConvOp op = gated_values_op(a, alignment, s.resource<MatrixMath>().tf32);
    e = s.resource<FusedPlans>().find(s, op, kCompiled, [&] {
      Trial t;
      t.fused = [&s, a](const ConvGraph& graph, const Plan& plan) { run(s, a, graph, plan); };
      t.plain = [&s, a, plain] { plain(s, a); };
      t.results = {a.y};
      return t;
    });
  }
  e ? run(s, a, e->graph, e->plan) : plain(s, a);
}

}  // namespace telltale::cudnn
#else
namespace telltale::cudnn {
void gated_conv_forward(Stream& s, const GatedConvArgs& a, void (*plain)(Stream&, const GatedConvArgs&)) {
  plain(s, a);
}
}  // namespace telltale::cudnn
#endif
