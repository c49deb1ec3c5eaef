#pragma once
// The detector's loss: classification beside a box loss, in one kernel. Launches kernels: only .cu files include this.
#include <algorithm>

#include "kernels/core/dispatch.h"
#include "kernels/core/launch.h"
#include "losses/bce.h"
#include "losses/gradient_check.h"
#include "losses/registry.h"

namespace telltale {

/// One sample of the composite: logit and corners against label and corners. `Box` is the box loss's functor.
template <class Box>
struct DetectionSample {
  static constexpr int width = 5;
  Box box;
  double alpha, beta;
  double unit_x = 1, unit_y = 1;  ///< multiply the corners before the box loss sees them

  DetectionSample(const Box& b, const DetectionSettings& s) : box(b), alpha(s.alpha), beta(s.beta) {
    if (s.box_unit == BoxUnit::pixel) unit_x = s.width, unit_y = s.height;
  }
  template <class T>
  TT_HD void scaled(const T* corners, T* to) const {
    for (int k = 0; k < 4; ++k) to[k] = corners[k] * T(k % 2 ? unit_y : unit_x);
  }
  /// What the box loss's backward holds constant at p.
  template <class T>
  TT_HD T held(const T* p, const T* t) const {
    T pb[4], tb[4];
    scaled(p + 1, pb);
    scaled(t + 1, tb);
    return held_constant(box, pb, tb);
  }
  /// Writes total, classification and box to `terms` and d total / d p to dp. `samples` and `positives` count the
  /// effective batch.
  template <class T>
  TT_HD void eval(const T* p, const T* t, T held, T samples, T positives, T* terms, T* dp) const {
    const T class_weight = T(alpha) / samples;
    terms[1] = class_weight * bce_with_logits(p[0], t[0], dp);
    dp[0] *= class_weight;
    terms[2] = 0;
    for (int k = 0; k < 4; ++k) dp[1 + k] = 0;
    if (t[0] > 0 &&
        positives > 0) {  // a branch, not a factor 0: what a negative predicts must not matter, infinite or not
      const T box_weight = T(beta) * t[0] / positives;
      T pb[4], tb[4];
      scaled(p + 1, pb);
      scaled(t + 1, tb);
      terms[2] = box_weight * eval_holding(box, pb, tb, held, dp + 1);
      for (int k = 0; k < 4; ++k) dp[1 + k] *= box_weight * T(k % 2 ? unit_y : unit_x);
    }
    terms[0] = terms[1] + terms[2];
  }
};

template <class Box, class S>
struct EvalDetection {
  using T = acc_t<S>;
  DetectionSample<Box> f;
  const S* pred;
  const T* target;
  T* loss;
  S* dpred;
  const StepState* state;
  TT_HD void operator()(int64_t i) const {
    T p[5], dp[5];
    for (int k = 0; k < 5; ++k) p[k] = load(pred[i * 5 + k]);
    const T* t = target + i * 5;
    f.eval(p, t, f.held(p, t), T(state->samples), T(state->positives), loss + i * 3, dp);
    for (int k = 0; k < 5; ++k) dpred[i * 5 + k] = store<S>(dp[k] * T(state->loss_scale));
  }
};

/// See make_detection_loss.
template <class Box>
class DetectionLoss final : public Loss {
 public:
  DetectionLoss(const std::string& box_name, const DetectionSample<Box>& f) : name_("detection_" + box_name), f_(f) {}
  std::string name() const override { return name_; }
  int pred_width() const override { return 5; }
  int target_width() const override { return 5; }
  int terms() const override { return 3; }
  void eval(Stream& s, Tensor pred, Tensor target, Tensor loss, Tensor dpred, const StepState* state) const override {
    check_loss_tensors(*this, pred, target, loss, dpred, state);
    visit_float(pred.dtype, [&](auto tag) {
      using S = typename decltype(tag)::type;
      using T = acc_t<S>;
      for_each(s, pred.shape.n,
               EvalDetection<Box, S>{f_, pred.as<S>(), target.as<T>(), loss.as<T>(), dpred.as<S>(), state});
    });
  }
  /// Box and logit are checked apart: beside the whole's size, rounding would hide the smaller one's slope.
  double worst_gradient_error(uint64_t seed) const override {
    constexpr double kSamples = 4, kPositives = 2;
    const auto box = [f = f_](const double* base, const double* p, const double* t, double* dp) {
      const double at[5] = {0, base[0], base[1], base[2], base[3]}, pred[5] = {0, p[0], p[1], p[2], p[3]};
      const double target[5] = {1, t[0], t[1], t[2], t[3]};
      double terms[3], slope[5];
      f.eval(pred, target, f.held(at, target), kSamples, kPositives, terms, slope);
      for (int k = 0; k < 4; ++k) dp[k] = slope[1 + k];
      return terms[2];
    };
    const auto logit = [f = f_](const double*, const double* p, const double* t, double* dp) {
      const double pred[5] = {p[0], 0, 0, 1, 1}, target[5] = {t[0], 0, 0, 1, 2};
      double terms[3], slope[5];
      f.eval(pred, target, f.held(pred, target), kSamples, kPositives, terms, slope);
      dp[0] = slope[0];
      return terms[0];
    };
    return std::max(worst_slope_error(SlopeCheck{4, 4, Box::sample, box}, seed),
                    worst_slope_error(SlopeCheck{1, 1, sample_logit, logit}, seed));
  }

 private:
  std::string name_;
  DetectionSample<Box> f_;
};

}  // namespace telltale
