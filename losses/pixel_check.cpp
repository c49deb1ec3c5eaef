#include "losses/pixel_check.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "losses/gradient_check.h"

namespace telltale {
namespace {

/// Logits of one kind and labels of one, by turns.
void sample_maps(Random& random, double* pred, double* target, int numbers, int i) {
  for (int k = 0; k < numbers; ++k) {
    switch (i % 5) {
      case 3: pred[k] = 40 * random.normal(); break;
      case 4: pred[k] = i % 2 ? 0 : double(random.integer(-2, 3)); break;
      default: pred[k] = 2 * random.normal();
    }
    switch (i % 4) {
      case 0: target[k] = 0; break;
      case 1: target[k] = 1; break;
      case 2: target[k] = double(random.integer(0, 1)); break;
      default: target[k] = random.uniform();
    }
  }
}

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

GradientCheck pixel_gradient_check(Stream& s, const Loss& loss, Shape maps) {
  const int numbers = int(maps.numel());
  const auto gradient = [&s, &loss, maps](const double* p, const double* t, double* dp) {
    const Shape rows{maps.n * maps.h, 1, 1, loss.terms()};
    std::vector<double> pred(p, p + maps.numel()), target(t, t + maps.numel()), terms(size_t(rows.numel()));
    const StepState state{.samples = float(maps.n), .positives = float(maps.n)};
    loss.eval(s, {pred.data(), maps, DType::f64}, {target.data(), maps, DType::f64}, {terms.data(), rows, DType::f64},
              {dp, maps, DType::f64}, &state);
    double sum = 0;
    for (size_t i = 0; i < terms.size(); i += size_t(loss.terms())) sum += terms[i];
    return sum;
  };
  return {.pred = numbers,
          .target = numbers,
          .sample = [numbers](Random& random, double* p, double* t, int i) { sample_maps(random, p, t, numbers, i); },
          .value =
              [gradient, numbers](const double*, const double* p, const double* t) {
                std::vector<double> unused(static_cast<size_t>(numbers));
                return gradient(p, t, unused.data());
              },
          .gradient = gradient};
}

GradientPoint worst_pixel_gradient(const Loss& loss, uint64_t seed) {
  constexpr int kSamples = 20;  // every kind of logits with every kind of labels
  Stream s = Stream::cpu();
  GradientPoint worst;
  for (const Shape shape : {Shape{1, 1, 2, 1}, {2, 2, 3, 1}, {1, 3, 4, 1}}) {
    const GradientPoint found = worst_gradient(pixel_gradient_check(s, loss, shape), seed, kSamples);
    if (worst.sample < 0 || found.error > worst.error) worst = found;
  }
  return worst;
}

double worst_pixel_gradient_error(const Loss& loss, uint64_t seed) { return worst_pixel_gradient(loss, seed).error; }

}  // namespace telltale
