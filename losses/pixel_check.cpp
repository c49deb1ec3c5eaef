#include "losses/pixel_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"
#include "kernels/device/philox.h"

namespace telltale {
namespace {

/// A map on the host and what the loss says of it.
struct Map {
  Shape shape;
  std::vector<double> pred, target, terms, gradient;
  StepState state;

  Map(const Loss& loss, Shape s)
      : shape(s),
        pred(size_t(s.numel())),
        target(pred.size()),
        terms(size_t(s.n) * size_t(s.h) * size_t(loss.terms())),
        gradient(pred.size()),
        state{.samples = float(s.n), .positives = float(s.n)} {}
  double value(const Loss& loss, Stream& s) {
    const Shape rows{shape.n * shape.h, 1, 1, loss.terms()};
    loss.eval(s, {pred.data(), shape, DType::f64}, {target.data(), shape, DType::f64}, {terms.data(), rows, DType::f64},
              {gradient.data(), shape, DType::f64}, &state);
    double sum = 0;
    for (size_t i = 0; i < terms.size(); i += size_t(loss.terms())) sum += terms[i];
    return sum;
  }
};

}  // namespace

void check_pixel_tensors(const Loss& loss, Tensor pred, Tensor target, Tensor terms, Tensor dpred,
                         const StepState* state) {
  const Shape map = pred.shape, rows{map.n * map.h, 1, 1, loss.terms()};
  const DType wide = accumulator_of(pred.dtype);
  const auto check = [&](const char* what, Tensor t, Shape expected, DType dtype) {
    TT_CHECK(t.shape == expected && t.dtype == dtype, ShapeError, "loss ", loss.name(), ": ", what, " must be ",
             to_string(expected), " ", name_of(dtype), ", got ", to_string(t.shape), " ", name_of(t.dtype));
    TT_CHECK(t.data || t.shape.numel() == 0, ShapeError, "loss ", loss.name(), ": ", what, " has no memory");
  };
  check("pred", pred, {map.n, map.h, map.w, 1}, pred.dtype);
  check("target", target, map, wide);
  check("terms", terms, rows, wide);
  check("dpred", dpred, map, pred.dtype);
  TT_CHECK(state, ShapeError, "loss ", loss.name(), ": the step's state is missing");
}

double worst_pixel_gradient_error(const Loss& loss, uint64_t seed) {
  constexpr int kMaps = 48;
  constexpr double kStep = 1e-5;
  Stream s = Stream::cpu();
  Random random(seed);
  double worst = 0;
  for (int i = 0; i < kMaps; ++i) {
    Map map(loss, {1 + i % 3, 1 + i % 4, 2 + i % 5, 1});
    for (size_t k = 0; k < map.pred.size(); ++k) {
      map.pred[k] = i % 5 == 4 ? 0 : (i % 5 == 3 ? 40 : 2) * random.normal();
      map.target[k] = i % 4 == 0 ? 0 : i % 4 == 1 ? 1 : i % 4 == 2 ? double(random.integer(0, 1)) : random.uniform();
    }
    map.value(loss, s);
    const std::vector<double> gradient = map.gradient, at = map.pred;
    for (size_t k = 0; k < at.size(); ++k) {
      map.pred = at;
      map.pred[k] = at[k] + kStep;
      const double above = map.value(loss, s);
      map.pred[k] = at[k] - kStep;
      const double difference = (above - map.value(loss, s)) / (2 * kStep);
      const double error = std::abs(gradient[k] - difference) / std::max(1.0, std::abs(gradient[k]));
      if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
      worst = std::max(worst, error);
    }
    map.pred = at;
  }
  return worst;
}

}  // namespace telltale
