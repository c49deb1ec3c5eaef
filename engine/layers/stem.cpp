#include "engine/layers/stem.h"

#include "engine/layers/parts.h"
#include "kernels/device/buffer.h"
#include "kernels/preprocess.h"
#include "kernels/space_to_depth.h"

namespace telltale {
namespace {

constexpr size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

bool fits(const Preprocess::Settings& images, const Conv::Settings& conv) {
  return images.h % 2 == 0 && images.w % 2 == 0 && conv.size == 7 && conv.geometry == ConvGeometry{2, 3, 1} &&
         !conv.bias && conv.act == Act::none;
}

}  // namespace

std::unique_ptr<Layer> Stem::joined(const Layer& preprocess, const Layer& conv) {
  const auto* images = dynamic_cast<const Preprocess*>(&preprocess);
  const auto* plain = dynamic_cast<const Conv*>(&conv);
  const auto* folded = dynamic_cast<const ConvBatchNorm*>(&conv);
  if (!images || (!plain && !folded) || (folded && folded->norm().residual)) return nullptr;
  if (!fits(images->settings(), plain ? plain->settings() : folded->conv())) return nullptr;
  Stem stem = plain ? Stem(*images, *plain) : Stem(*images, *folded);
  stem.name = conv.name;
  return std::make_unique<Stem>(std::move(stem));
}

const Layer& Stem::layer() const {
  return std::visit([](const auto& conv) -> const Layer& { return conv; }, conv_);
}

const Conv::Settings& Stem::settings() const {
  const auto* plain = std::get_if<Conv>(&conv_);
  return plain ? plain->settings() : std::get<ConvBatchNorm>(conv_).conv();
}

std::string Stem::describe() const { return preprocess_.describe() + " in blocks + " + layer().describe(); }

ConvArgs Stem::conv(int n, DType compute) const {
  const Preprocess::Settings& to = preprocess_.settings();
  const auto* folded = std::get_if<ConvBatchNorm>(&conv_);
  const Shape w = blocks_filter_shape(settings().channels);
  return {.x = {nullptr, blocks_shape({n, to.h, to.w, 3}), compute},
          .w = {nullptr, w, compute},
          .bias = folded ? Tensor{nullptr, {1, 1, 1, w.n}, accumulator_of(compute)} : Tensor{},
          .residual = {},
          .y = {nullptr, {n, to.h / 2, to.w / 2, w.n}, compute},
          .geometry = {},
          .act = folded ? folded->norm().act : Act::none,
          .packed = {}};
}

/// Saved are the blocks, where the filter learns. Its 4×4 form is made once where it is constant, else in every pass.
Spec Stem::plan(const PlanContext& c, std::span<const Shape> x) const {
  const Shape images = preprocess_.plan(c, x).y;
  Spec spec = layer().plan(c, {&images, 1});
  const ConvArgs a = conv(images.n, c.compute);
  spec.keep_x = 0;
  spec.packed = spec.scratch = spec.prepare_only = 0;
  if (!c.training || c.frozen) {
    spec.prepare_only = std::holds_alternative<ConvBatchNorm>(conv_) ? ~0u : 1;
    spec.packed = Folded(nullptr, a.w.shape, c.compute, conv_packed_bytes(c.stream, a)).bytes;
  } else {
    spec.scratch = aligned(a.w.bytes());
  }
  if (c.backward && !c.frozen) {
    spec.saved.push_back({a.x.shape, c.compute});
    spec.backward_scratch = size_t(a.w.shape.numel()) * size_of(accumulator_of(c.compute));
  } else {
    spec.scratch += a.x.bytes();
  }
  return spec;
}

void Stem::prepare(Stream& s, const Io& io) const {
  ConvArgs a = conv(io.y.shape.n, io.y.dtype);
  const size_t packed_bytes = conv_packed_bytes(s, a);
  const Folded f(io.packed.data, a.w.shape, a.w.dtype, packed_bytes);
  OwnedTensor wide, plain;
  Tensor w = io.w[0];
  if (const auto* folded = std::get_if<ConvBatchNorm>(&conv_)) {
    wide = OwnedTensor(s.place(), w.shape, a.w.dtype);
    w = wide.tensor;
    folded->fold(s, io, w, f.bias);
    a.bias = f.bias;
  }
  if (packed_bytes) plain = OwnedTensor(s.place(), a.w.shape, a.w.dtype);
  a.w = packed_bytes ? plain.tensor : f.w;
  blocks_filter(s, w, a.w);
  if (packed_bytes) conv_pack(s, a, f.packed);
  s.sync();
}

void Stem::forward(Stream& s, const Io& io) const {
  ConvArgs a = conv(io.y.shape.n, io.y.dtype);
  a.y = io.y;
  char* scratch = io.scratch.as<char>();
  if (io.packed) {
    const Folded f(io.packed.data, a.w.shape, a.w.dtype, conv_packed_bytes(s, a));
    a.w = f.w;
    a.packed = f.packed;
    if (a.bias.shape.c) a.bias = f.bias;
  } else {
    a.w.data = scratch;
    blocks_filter(s, io.w[0], a.w);
    scratch += aligned(a.w.bytes());
  }
  a.x.data = io.saved.empty() ? scratch : io.saved[0].data;
  PreprocessArgs images = preprocess_.args(io);
  images.blocks = true;
  images.y = a.x;
  preprocess(s, images);
  conv_forward(s, a);
}

void Stem::backward(Stream& s, const Io& io) const {
  if (io.dw_mode[0] == GradMode::ignore) return;
  const ConvArgs a = conv(io.y.shape.n, io.y.dtype);
  const Tensor dw{io.scratch.data, a.w.shape, accumulator_of(a.w.dtype)};
  ConvGradArgs g{.x = io.saved[0], .w = a.w, .dy = io.dy, .dw = dw, .geometry = a.geometry};
  g.dx_mode = GradMode::ignore;
  conv_backward(s, g);
  blocks_filter_gradient(s, dw, io.dw[0], io.dw_mode[0]);
}

}  // namespace telltale
