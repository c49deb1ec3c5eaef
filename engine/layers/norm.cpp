// Batch norm, trained or frozen, and its folded form.
#include "engine/layers/norm.h"

#include "engine/layers/parts.h"
#include "engine/layers/pointwise.h"
#include "engine/onnx.h"
#include "kernels/device/buffer.h"
#include "kernels/norm/batchnorm.h"
#include "kernels/norm/fold.h"
#include "kernels/parts/math.h"

namespace telltale {

std::vector<ParamSpec> BatchNorm::parameters(const std::string& name, int channels) {
  const Shape v{1, 1, 1, channels};
  const Init one{Init::Kind::one, 0};
  return {{.names = {name + ".weight"}, .shape = v, .init = one, .keep_f32 = true},
          {.names = {name + ".bias"}, .shape = v, .init = {}, .keep_f32 = true},
          {.names = {name + ".running_mean"}, .shape = v, .init = {}, .trainable = false, .keep_f32 = true},
          {.names = {name + ".running_var"}, .shape = v, .init = one, .trainable = false, .keep_f32 = true},
          {.names = {name + ".num_batches_tracked"},
           .shape = {1, 1, 1, 1},
           .init = {},
           .trainable = false,
           .keep_f32 = true,
           .is_counter = true}};
}

std::string BatchNorm::describe() const { return cat("BatchNorm", s_.residual ? " + add" : "", act_name(s_.act)); }

Spec BatchNorm::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, s_.residual ? 2 : 1);
  TT_CHECK(!s_.residual || x[0] == x[1], ShapeError, name, ": adds ", to_string(x.back()), " to ", to_string(x[0]));
  Spec spec;
  spec.y = x[0];
  spec.params = parameters(name, x[0].c);
  const bool batch_statistics = c.training && !c.frozen;
  if (batch_statistics) {
    const DType type = accumulator_of(c.compute);
    spec.saved = {{{1, 1, 1, x[0].c}, type}, {{1, 1, 1, x[0].c}, type}};
  }
  if (c.backward && batch_statistics) spec.keep_x = 1;
  // Relu's mask comes from x where that is kept anyway and all of y; else as bits.
  if (c.backward && s_.act != Act::none && (s_.residual || !batch_statistics))
    spec.saved.push_back({passed_shape(x[0]), DType::u8});
  if (!batch_statistics) spec.inplace = 0;
  return spec;
}

namespace {
/// Relu's packed mask, where plan() asked for one: the last of the saved tensors.
Tensor passed_in(const Io& io) {
  return !io.saved.empty() && io.saved.back().dtype == DType::u8 ? io.saved.back() : Tensor{};
}
}  // namespace

void BatchNorm::forward(Stream& s, const Io& io) const {
  BatchNormArgs a{.x = io.x[0],
                  .y = io.y,
                  .residual = s_.residual ? io.x[1] : Tensor{},
                  .gamma = io.w[0],
                  .beta = io.w[1],
                  .mean = {},
                  .rstd = {},
                  .running_mean = io.w[2],
                  .running_var = io.w[3],
                  .batches = {}};
  a.momentum = s_.momentum;
  a.eps = s_.eps;
  a.act = s_.act;
  a.passed = passed_in(io);
  if (!io.training || io.frozen) return batchnorm_frozen(s, a);
  a.mean = io.saved[0];
  a.rstd = io.saved[1];
  a.batches = io.w[4];
  batchnorm_forward(s, a);
}

void BatchNorm::backward(Stream& s, const Io& io) const {
  BatchNormGradArgs g;
  g.x = io.x[0];
  g.passed = passed_in(io);
  g.dy = io.dy;
  g.gamma = io.w[0];
  g.beta = io.w[1];
  g.eps = s_.eps;
  g.act = s_.act;
  if (io.frozen) {
    g.running_mean = io.w[2];
    g.running_var = io.w[3];
  } else {
    g.mean = io.saved[0];
    g.rstd = io.saved[1];
  }
  g.dx_mode = io.dx_mode[0];
  g.dx = io.dx[0];
  if (s_.residual) {
    g.dresidual_mode = io.dx_mode[1];
    g.dresidual = io.dx[1];
  } else {
    g.dresidual_mode = GradMode::ignore;
  }
  g.dw_mode = io.dw_mode[0];
  g.dgamma = io.dw[0];
  g.dbeta = io.dw[1];
  batchnorm_backward(s, g);
}

std::unique_ptr<Layer> BatchNorm::absorb(const Layer& next, int, bool) const {
  if (s_.act != Act::none) return nullptr;
  auto fused = std::make_unique<BatchNorm>(*this);
  if (dynamic_cast<const Add*>(&next) && !s_.residual) {
    fused->s_.residual = true;
    return fused;
  }
  const auto* a = dynamic_cast<const Activation*>(&next);
  if (!a || a->act != Act::relu) return nullptr;
  fused->s_.act = Act::relu;
  return fused;
}

ConvBatchNorm::ConvBatchNorm(const Conv& conv, const BatchNorm& norm)
    : conv_(conv.settings()), norm_(norm.settings()), conv_name_(conv.name), norm_name_(norm.name) {
  name = conv.name;
}

std::string ConvBatchNorm::describe() const {
  return describe_conv("Conv+BatchNorm", conv_.channels, conv_.size, conv_.geometry) +
         (norm_.residual ? " + add" : "") + act_name(norm_.act);
}

ConvArgs ConvBatchNorm::args(const Shape& x, const Shape& y, DType compute) const {
  const Shape w{conv_.channels, conv_.size, conv_.size, x.c};
  return {.x = {nullptr, x, compute},
          .w = {nullptr, w, compute},
          .bias = {nullptr, {1, 1, 1, w.n}, accumulator_of(compute)},
          .residual = norm_.residual ? Tensor{nullptr, y, compute} : Tensor{},
          .y = {nullptr, y, compute},
          .geometry = conv_.geometry,
          .act = norm_.act,
          .packed = {}};
}

Spec ConvBatchNorm::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, norm_.residual ? 2 : 1);
  TT_CHECK(!c.backward, ShapeError, name, ": a folded batch norm can't train");
  const Shape w{conv_.channels, conv_.size, conv_.size, x[0].c};
  Spec spec;
  spec.y = checked_output(name, x, w, conv_.geometry);
  TT_CHECK(!norm_.residual || x[1] == spec.y, ShapeError, name, ": adds ", to_string(x.back()), " to ",
           to_string(spec.y));
  // Masters are folded in full precision, so the layer reads them in accumulator type.
  spec.params.push_back(filter_spec({conv_name_ + ".weight"}, w, conv_.init));
  spec.params.back().keep_f32 = true;
  if (conv_.bias) spec.params.push_back(bias_spec({conv_name_ + ".bias"}, w.n, {}));
  for (ParamSpec& p : BatchNorm::parameters(norm_name_, w.n)) spec.params.push_back(std::move(p));
  if (norm_.residual) spec.inplace = 1;  // summed where it lies: no copy
  spec.packed = Folded(nullptr, w, c.compute, conv_packed_bytes(c.stream, args(x[0], spec.y, c.compute))).bytes;
  spec.prepare_only = ~0u;
  return spec;
}

void ConvBatchNorm::fold(Stream& s, const Io& io, Tensor w, Tensor bias) const {
  const size_t norm = conv_.bias ? 2 : 1;
  fold_norm(s, {.w = io.w[0],
                .bias = conv_.bias ? io.w[1] : Tensor{},
                .gamma = io.w[norm],
                .beta = io.w[norm + 1],
                .mean = io.w[norm + 2],
                .var = io.w[norm + 3],
                .eps = norm_.eps,
                .to_w = w,
                .to_bias = bias});
}

void ConvBatchNorm::prepare(Stream& s, const Io& io) const {
  ConvArgs a = args(io.x[0].shape, io.y.shape, io.y.dtype);
  const size_t packed_bytes = conv_packed_bytes(s, a);
  const Folded f(io.packed.data, a.w.shape, io.y.dtype, packed_bytes);
  OwnedTensor plain;
  if (packed_bytes) plain = OwnedTensor(s.place(), a.w.shape, a.w.dtype);
  a.w = packed_bytes ? plain.tensor : f.w;
  fold(s, io, a.w, f.bias);
  if (!packed_bytes) return;
  a.bias = f.bias;
  conv_pack(s, a, f.packed);
  s.sync();
}

void ConvBatchNorm::forward(Stream& s, const Io& io) const {
  ConvArgs a = args(io.x[0].shape, io.y.shape, io.y.dtype);
  const Folded f(io.packed.data, a.w.shape, io.y.dtype, conv_packed_bytes(s, a));
  a.x = io.x[0];
  a.y = io.y;
  a.w = f.w;
  a.bias = f.bias;
  a.packed = f.packed;
  if (norm_.residual) a.residual = io.x[1];
  conv_forward(s, a);
}

std::unique_ptr<Layer> ConvBatchNorm::absorb(const Layer& next, int, bool) const {
  if (norm_.act != Act::none) return nullptr;
  auto fused = std::make_unique<ConvBatchNorm>(*this);
  if (dynamic_cast<const Add*>(&next) && !norm_.residual) {
    fused->norm_.residual = true;
    return fused;
  }
  const auto* a = dynamic_cast<const Activation*>(&next);
  if (!a) return nullptr;
  fused->norm_.act = a->act;
  return fused;
}

void BatchNorm::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const bool acts = s_.act != Act::none;
  std::string y = g.add("BatchNormalization", {n.x[0], n.w[0][0], n.w[1][0], n.w[2][0], n.w[3][0]},
                        {{"epsilon", s_.eps}}, acts || s_.residual ? "" : n.y);
  if (s_.residual) y = g.add("Add", {y, n.x[1]}, {}, acts ? "" : n.y);
  if (acts) g.activation(y, s_.act, n.y);
}

}  // namespace telltale
