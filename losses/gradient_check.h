#pragma once
// The check of a loss's slope in double, on the host.
#include <functional>

#include "kernels/core/philox.h"

namespace telltale {

/// What is checked: a loss of one sample and where to try it.
struct SlopeCheck {
  int pred, target;  ///< numbers per sample
  /// Draws the i-th sample.
  std::function<void(Random&, double* p, double* t, int i)> sample;
  /// The loss at p, its slope in dp; what backward holds constant is taken at `base`.
  std::function<double(const double* base, const double* p, const double* t, double* dp)> eval;
};

/// Worst |slope − difference| / max(1, |slope|) over `samples` samples. At a kink, where backward and forward
/// difference disagree, the slope may lie anywhere between them, and where several kinks meet, between those of points
/// nearby (Clarke's generalised gradient). Infinite as soon as a loss, a slope or a difference is not finite.
double worst_slope_error(const SlopeCheck& check, uint64_t seed, int samples = 512);

/// True where F's backward holds a constant (CIoU's alpha): F::held(p, t) computes it, F::eval takes it.
template <class F>
concept HoldsConstant = requires(const F f, const double* x) {
  f.held(x, x);
};

template <class F, class T>
TT_HD T held_constant([[maybe_unused]] const F& f, [[maybe_unused]] const T* p, [[maybe_unused]] const T* t) {
  if constexpr (HoldsConstant<F>) {
    return f.held(p, t);
  } else {
    return T(0);
  }
}

template <class F, class T>
TT_HD T eval_holding(const F& f, const T* p, const T* t, [[maybe_unused]] T held, T* dp) {
  if constexpr (HoldsConstant<F>) {
    return f.eval(p, t, held, dp);
  } else {
    return f.eval(p, t, dp);
  }
}

/// The check of one per-sample functor; see losses/sample_loss.h for what F is.
template <class F>
double worst_slope_error(const F& f, uint64_t seed) {
  return worst_slope_error(SlopeCheck{F::pred, F::target, F::sample,
                                      [f](const double* base, const double* p, const double* t, double* dp) {
                                        return eval_holding(f, p, t, held_constant(f, base, t), dp);
                                      }},
                           seed);
}

/// Where to check a loss of a logit and a probability: 0, near it and far out; certain and uncertain targets.
void sample_logit(Random& random, double* p, double* t, int i);
/// Where to check losses of four numbers that are no geometry: ordinary, equal, tiny and huge differences, and exactly
/// on ±1, a kink of smooth L1.
void sample_numbers(Random& random, double* p, double* t, int i);
/// Where to check losses of boxes: overlapping, nested, disjoint, touching, identical, inverted, empty, sharing edges
/// or centres, tiny and huge.
void sample_boxes(Random& random, double* p, double* t, int i);

}  // namespace telltale
