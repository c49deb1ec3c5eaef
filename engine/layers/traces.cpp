#include "engine/layers/traces.h"

#include "engine/layers/parts.h"
#include "kernels/coefficients.h"
#include "kernels/device/buffer.h"
#include "kernels/norm/contrast.h"

namespace telltale {
namespace {
Shape coefficients_of(const Shape& x) { return {x.n, x.h / kBlock, x.w / kBlock, kFrequencies}; }
}  // namespace

std::string CoefficientTraces::describe() const {
  return cat("CoefficientTraces", s_.magnitude ? " magnitude" : "", s_.history ? " history" : "");
}

Spec CoefficientTraces::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  TT_CHECK(s_.magnitude || s_.history, ShapeError, name, ": neither magnitude nor history is asked for");
  TT_CHECK(x[0].c == 3 && x[0].h % kBlock == 0 && x[0].w % kBlock == 0, ShapeError, name,
           ": expected pictures {N,H,W,3}, H and W multiples of 8, got ", to_string(x[0]));
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

}  // namespace telltale
