#pragma once
// The check of a loss's gradient in double, on the host.
#include <functional>
#include <string>
#include <vector>

#include "losses/rows.h"
#include "losses/samplers.h"

namespace telltale {

/// Draws the i-th sample to check a loss at.
using Sampler = std::function<void(Random&, double* p, double* t, int i)>;

/// What is checked: a loss of one sample and where to try it.
struct GradientCheck {
  int pred, target;  ///< numbers per sample
  Sampler sample;
  /// The loss at p. What backward holds constant is taken at `base`.
  std::function<double(const double* base, const double* p, const double* t)> value;
  /// The loss at p, its gradient written to dp: what is used in training.
  std::function<double(const double* p, const double* t, double* dp)> gradient;
};

/// Where a gradient was found, and how wrong it is there.
struct GradientPoint {
  double error = 0;  ///< |gradient − difference| / max(1, |gradient|); infinite where anything is not finite
  int sample = -1;   ///< the sampler's i; −1: nothing was checked
  std::vector<double> pred, target;
  int number = 0;  ///< which of pred's numbers the gradient belongs to
  double value = 0, gradient = 0;
  double low = 0, high = 0;  ///< of the differences: equal but for kinks
  /// "at pred (…), target (…): the gradient to pred[2] is 0.5, differences say 0.25"
  std::string describe() const;
};

/// The sample with the worst gradient. At a kink, where backward and forward difference disagree, the gradient may lie
/// anywhere between them, and where several kinks meet, between those of points nearby (Clarke's generalised gradient).
/// Stops at the first sample where a loss, a gradient or a difference is not finite, or where gradient() returns
/// another value than value().
GradientPoint worst_gradient(const GradientCheck& check, uint64_t seed, int samples = 512);

/// A gradient is wrong when worst_gradient's error is above this.
constexpr double kGradientTolerance = 1e-6;

/// What stop_gradient keeps while differences are taken: at the base it records, elsewhere it repeats.
struct RepeatConstants {
  static double constant(double x);
  static void record();  ///< from here on, per thread
  static void repeat();
};
/// The loss at p by F's formula, its constants taken at `base`.
template <class F>
double value_holding(const F& f, const double* base, const double* p, const double* t) {
  using V = Dual<double, 1, RepeatConstants>;
  const auto at = [&](const double* from) {
    V x[F::pred];
    for (int k = 0; k < F::pred; ++k) x[k] = from[k];
    return f.value(x, t).value;
  };
  RepeatConstants::record();
  const double y = at(base);
  if (p == base) return y;
  RepeatConstants::repeat();
  return at(p);
}

/// F's own sampler, or the one that suits its numbers.
template <class F>
Sampler sampler_of() {
  if constexpr (requires { &F::sample; }) {
    return F::sample;
  } else {
    return F::pred == 4 && F::target == 4 ? sample_boxes : sample_logit;
  }
}
template <class F>
GradientCheck gradient_check(const F& f) {
  return {F::pred, F::target, sampler_of<F>(),
          [f](const double* base, const double* p, const double* t) { return value_holding(f, base, p, t); },
          [f](const double* p, const double* t, double* dp) { return value_and_gradient(f, p, t, dp); }};
}

}  // namespace telltale
