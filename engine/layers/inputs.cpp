#include "engine/layers/inputs.h"

#include "engine/layers/parts.h"
#include "engine/onnx.h"
#include "kernels/concat.h"
#include "kernels/device/buffer.h"
#include "kernels/pointwise.h"
#include "kernels/preprocess.h"

namespace telltale {
namespace {
void fill(Stream& s, const Tensor& t, float value) {
  visit_float(t.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const std::vector<T> constant(size_t(t.shape.numel()), store<T>(acc_t<T>(value)));
    upload(s, t, constant.data());
  });
}
}  // namespace

std::string FillHole::describe() const { return cat("FillHole ", value_); }

Spec FillHole::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 2);
  check_mask(name, x[0], x[1]);
  Spec spec;
  spec.y = x[0];
  spec.packed = size_t(x[0].numel()) * size_of(c.compute);  // the constant image
  if (c.backward) spec.keep_x = 2;
  return spec;
}

void FillHole::prepare(Stream& s, const Io& io) const {
  fill(s, {io.packed.data, io.x[0].shape, io.x[0].dtype}, value_);
}

void FillHole::forward(Stream& s, const Io& io) const {
  BlendArgs a;
  a.a = io.x[0];
  a.b = {io.packed.data, io.x[0].shape, io.x[0].dtype};
  a.m = io.x[1];
  a.y = io.y;
  blend_forward(s, a);
}

void FillHole::backward(Stream& s, const Io& io) const {
  BlendArgs a;
  a.m = io.x[1];
  a.dy = io.dy;
  a.da = io.dx[0];
  a.da_mode = io.dx_mode[0];
  blend_backward(s, a);
  no_gradient(s, io, 1);
}

std::string ConstantChannel::describe() const { return cat("ConstantChannel ", value_); }

Spec ConstantChannel::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = {x[0].n, x[0].h, x[0].w, 1};
  spec.packed = size_t(spec.y.numel()) * size_of(c.compute);
  return spec;
}

void ConstantChannel::prepare(Stream& s, const Io& io) const {
  fill(s, {io.packed.data, io.y.shape, io.y.dtype}, value_);
}

void ConstantChannel::forward(Stream& s, const Io& io) const {
  copy(s, io.y, {io.packed.data, io.y.shape, io.y.dtype});
}

void ConstantChannel::backward(Stream& s, const Io& io) const { no_gradient(s, io, 0); }

std::string Preprocess::describe() const { return cat("Preprocess to ", s_.h, "x", s_.w); }

Spec Preprocess::plan(const PlanContext&, std::span<const Shape> x) const {
  TT_CHECK(x.size() == 1 || x.size() == 2, ShapeError, name, ": takes images and optional flips, got ", x.size(),
           " inputs");
  const Shape& from = s_.images ? s_.images.shape : x[0];
  const int n = s_.images ? x[0].c : x[0].n;
  TT_CHECK(from.c == 3, ShapeError, name, ": images have 3 channels, got ", to_string(from));
  TT_CHECK(!s_.images || (x[0] == Shape{1, 1, 1, n}), ShapeError, name, ": the index of images is ", to_string(x[0]),
           ", expected {1,1,1,N}");
  TT_CHECK(x.size() == 1 || (x[1] == Shape{1, 1, 1, n}), ShapeError, name, ": flips are ", to_string(x.back()),
           ", expected one per image");
  Spec spec;
  spec.y = {n, s_.h, s_.w, 3};
  return spec;
}

PreprocessArgs Preprocess::args(const Io& io) const {
  PreprocessArgs a;
  a.x = s_.images ? s_.images : io.x[0];
  if (s_.images) a.index = io.x[0];
  if (io.x.size() > 1) a.flip = io.x[1];
  for (int k = 0; k < 3; ++k) {
    a.mean[k] = s_.mean[k];
    a.std[k] = s_.std[k];
  }
  return a;
}

void Preprocess::forward(Stream& s, const Io& io) const {
  PreprocessArgs a = args(io);
  a.y = io.y;
  preprocess(s, a);
}

void FillHole::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const std::string kept = g.add("Mul", {n.x[0], g.add("Sub", {g.constant(1), n.x[1]})});
  g.add("Add", {kept, g.add("Mul", {n.x[1], g.constant(value_)})}, {}, n.y);
}

void ConstantChannel::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const std::string zero = g.add("Mul", {g.slice(n.x[0], 1, 0, 1), g.constant(0)});
  g.add("Add", {zero, g.constant(value_)}, {}, n.y);
}

void Preprocess::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const Shape& x = n.x_shape[0];
  TT_CHECK(!s_.images && x.h == s_.h && x.w == s_.w, Error, name, ": only pictures of the net's own size, ", s_.w, "x",
           s_.h, ", have a form in ONNX");
  const std::string planes = g.add("Transpose", {n.x[0]}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}});
  std::vector<float> scale, shift;
  for (int k = 0; k < 3; ++k) {
    scale.push_back(1 / (255 * s_.std[k]));
    shift.push_back(-s_.mean[k] / s_.std[k]);
  }
  const std::string numbers = g.cast(planes, g.compute());
  g.add("Add", {g.add("Mul", {numbers, g.constant({3, 1, 1}, scale)}), g.constant({3, 1, 1}, shift)}, {}, n.y);
}

}  // namespace telltale
