#include "engine/layers/traces.h"

#include "engine/layers/parts.h"
#include "engine/onnx.h"
#include "kernels/coefficients.h"
#include "kernels/device/buffer.h"
#include "kernels/earlier_jpeg.h"
#include "kernels/norm/contrast.h"

namespace telltale {
namespace {
Shape coefficients_of(const Shape& x) { return {x.n, x.h / kBlock, x.w / kBlock, kFrequencies}; }
void check_pictures(const std::string& name, std::span<const Shape> x) {
  check_inputs(name, x, 1);
  TT_CHECK(x[0].c == 3 && x[0].h % kBlock == 0 && x[0].w % kBlock == 0, ShapeError, name,
           ": expected pictures {N,H,W,3}, H and W multiples of 8, got ", to_string(x[0]));
}
}  // namespace

std::string CoefficientTraces::describe() const {
  return cat("CoefficientTraces", s_.magnitude ? " magnitude" : "", s_.history ? " history" : "");
}

Spec CoefficientTraces::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_pictures(name, x);
  TT_CHECK(s_.magnitude || s_.history, ShapeError, name, ": neither magnitude nor history is asked for");
  Spec spec;
  spec.y = coefficients_of(x[0]);
  spec.scratch = size_t(spec.y.numel()) * size_of(accumulator_of(c.compute));
  spec.y.c *= s_.magnitude + s_.history;
  return spec;
}

void CoefficientTraces::forward(Stream& s, const Io& io) const {
  const Tensor c{io.scratch.data, coefficients_of(io.x[0].shape), accumulator_of(io.y.dtype)};
  block_coefficients(s, io.x[0], c);
  if (s_.magnitude) log_magnitude(s, c, io.y, 0);
  if (s_.history) coefficient_history(s, c, io.y, s_.magnitude ? kFrequencies : 0);
}

void CoefficientTraces::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] == GradMode::overwrite) fill_zero(s, io.dx[0]);
}

Spec EarlierJpeg::plan(const PlanContext&, std::span<const Shape> x) const {
  check_pictures(name, x);
  Spec spec;
  spec.y = {x[0].n, x[0].h / kBlock, x[0].w / kBlock, kEarlierTraces};
  return spec;
}

void EarlierJpeg::forward(Stream& s, const Io& io) const { earlier_jpeg(s, io.x[0], io.y, 0); }

void EarlierJpeg::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] == GradMode::overwrite) fill_zero(s, io.dx[0]);
}

Spec Contrast::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = x[0];
  spec.y.c *= 2;
  spec.saved = {{{x[0].n, 1, 1, 2 * x[0].c}, accumulator_of(c.compute)}};
  if (c.backward) spec.keep_x = 1;
  return spec;
}

void Contrast::forward(Stream& s, const Io& io) const {
  contrast_forward(s, {.x = io.x[0], .y = io.y, .stats = io.saved[0]});
}

void Contrast::backward(Stream& s, const Io& io) const {
  contrast_backward(s, {.x = io.x[0], .stats = io.saved[0], .dy = io.dy, .dx = io.dx[0], .mode = io.dx_mode[0]});
}

// Bins are counted by rounded coefficients. A sum in another order puts one into the next bin now and then, and the
// logits move by a hundredth.
void CoefficientTraces::to_onnx(OnnxGraph&, const OnnxNode&) const {
  throw Error(cat(name,
                  ": how usual coefficients are hangs on their last bits, which a runtime of ONNX models does not ",
                  "repeat: a net that looks at them is not exported"));
}

void EarlierJpeg::to_onnx(OnnxGraph&, const OnnxNode&) const {
  throw Error(cat(name,
                  ": choosing a grid hangs on the last bits of near equals, which a runtime of ONNX models does not ",
                  "repeat: a net that looks at it is not exported"));
}

void Contrast::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const OnnxGraph::Attribute over_places{"axes", std::vector<int64_t>{2, 3}};
  const std::string away = g.add("Sub", {n.x[0], g.add("ReduceMean", {n.x[0]}, {over_places})});
  const std::string variance = g.add("ReduceMean", {g.add("Mul", {away, away})}, {over_places});
  const std::string spread = g.add("Sqrt", {g.add("Add", {variance, g.constant(float(kContrastEpsilon))})});
  g.add("Concat", {n.x[0], g.add("Div", {away, spread})}, {{"axis", int64_t(1)}}, n.y);
}

}  // namespace telltale
