#pragma once
// One sample's formula and one row's work: all of a loss that runs on a device. Includes nothing a run-time compiler
// lacks.
#include <limits>

#include "kernels/device/half.h"
#include "losses/bce.h"
#include "losses/box_geometry.h"
#include "losses/detection_terms.h"
#include "losses/detector_row.h"

namespace telltale {

template <class F>
using NumberOf = double F::*;  // an alias, because nvcc writes the bare type out with parentheses that g++ warns of

/// A setting: its name in recipes and files, the member that holds it (whose initial value is the default) and its
/// range, both ends included.
template <class F>
struct Setting {
  const char* name;
  NumberOf<F> member;
  double low = 0, high = std::numeric_limits<double>::max();
};

/// True where F writes its gradient by hand.
template <class F>
concept HandWritten = requires(const F f, const double* x, double* dp) {
  f.eval(x, x, dp);
};

/// The formula's gradient by dual numbers: returns the loss, writes d loss / d p to dp.
template <class F, class T>
TT_HD T dual_gradient(const F& f, const T* p, const T* t, T* dp) {
  using V = Dual<T, F::pred>;
  V x[F::pred];
  for (int k = 0; k < F::pred; ++k) x[k] = V::variable(p[k], k);
  const V y = f.value(x, t);
  for (int k = 0; k < F::pred; ++k) dp[k] = y.gradient[k];
  return y.value;
}
/// What training uses: the gradient by hand where F has one.
template <class F, class T>
TT_HD T value_and_gradient(const F& f, const T* p, const T* t, T* dp) {
  if constexpr (HandWritten<F>) {
    return f.eval(p, t, dp);
  } else {
    return dual_gradient(f, p, t, dp);
  }
}

/// A loss by itself, or as one of the two parts of a detection loss (losses/loss.h).
enum class Role : uint8_t { alone, classification, box };

/// One row: storage type S, arithmetic in its accumulator. Alone a row of pred is F::pred wide, in a detection loss a
/// DetectorRow, and its terms are DetectionTerms. As a box it adds up the total, so the classification
/// runs before it.
template <class F, class S>
struct EvalRow {
  using T = acc_t<S>;
  F f;
  const S* pred;
  const T* target;
  T* loss;
  S* dpred;
  const StepState* state;
  double weight, unit_x,
      unit_y;  ///< of a part: alpha or beta; what corners are multiplied by before the loss sees them
  Role role;

  TT_HD void operator()(int64_t i) const {
    const bool alone = role == Role::alone, box = role == Role::box;
    const T* label = target + i * (alone ? F::target : DetectorRow::count);
    const S* row = pred + i * (alone ? F::pred : DetectorRow::count) + box;
    S* gradient = dpred + i * (alone ? F::pred : DetectorRow::count) + box;
    // A branch, not a factor 0: what a negative predicts must not matter, infinite or not.
    const bool counts = !box || (label[0] > 0 && state->positives > 0);
    T share = 1;
    if (role == Role::classification) share = T(weight) / T(state->samples);
    if (box && counts) share = T(weight) * label[0] / T(state->positives);
    T p[F::pred], t[F::target], dp[F::pred], value = 0;
    for (int k = 0; k < F::pred; ++k) {
      p[k] = load(row[k]) * unit(k);
      dp[k] = 0;
    }
    for (int k = 0; k < F::target; ++k) t[k] = label[box + k] * unit(k);
    if (counts) value = share * value_and_gradient(f, p, t, dp);
    for (int k = 0; k < F::pred; ++k) gradient[k] = store<S>(dp[k] * (share * unit(k)) * T(state->loss_scale));
    if (alone) {
      loss[i] = value;
      return;
    }
    T* terms = loss + i * DetectionTerms::count;
    if (box) {
      terms[DetectionTerms::box] = value;
      terms[DetectionTerms::iou] = counts ? iou(p, t) : T(0);
      // Volatile: as it was stored. Were a product fused into this sum, one launch would not give the bits of two.
      const volatile T* stored = terms;
      terms[DetectionTerms::total] = stored[DetectionTerms::classification] + stored[DetectionTerms::box];
    } else {
      terms[DetectionTerms::classification] = value;
      terms[DetectionTerms::correct] = T((p[0] >= 0) == (label[0] > 0));
    }
  }

 private:
  TT_HD T unit(int k) const { return T(k % 2 ? unit_y : unit_x); }
  static TT_HD T iou(const T* p, const T* t) {
    if constexpr (F::pred == 4 && F::target == 4) {
      return BoxPair<T, T>(p, t).iou;
    } else {
      return 0;
    }
  }
};

/// A whole row of a detection loss at once, its classification the plain one.
template <class F, class S>
struct DetectionRow {
  EvalRow<Bce, S> classification;
  EvalRow<F, S> box;
  TT_HD void operator()(int64_t i) const {
    classification(i);
    box(i);
  }
};

}  // namespace telltale
