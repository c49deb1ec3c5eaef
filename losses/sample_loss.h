#pragma once
// From one sample's formula to a Loss on both devices. Launches kernels: only .cu files include this.
#include <limits>

#include "kernels/core/dispatch.h"
#include "kernels/core/launch.h"
#include "losses/detection.h"
#include "losses/gradient_check.h"
#include "losses/registry.h"

namespace telltale {

/// One row of a plain loss: storage type S, arithmetic in its accumulator.
template <class F, class S>
struct EvalSample {
  using T = acc_t<S>;
  F f;
  const S* pred;
  const T* target;
  T* loss;
  S* dpred;
  const StepState* state;
  TT_HD void operator()(int64_t i) const {
    T p[F::pred], t[F::target], dp[F::pred];
    for (int k = 0; k < F::pred; ++k) p[k] = load(pred[i * F::pred + k]);
    for (int k = 0; k < F::target; ++k) t[k] = target[i * F::target + k];
    loss[i] = eval_holding(f, p, t, held_constant(f, p, t), dp);
    for (int k = 0; k < F::pred; ++k) dpred[i * F::pred + k] = store<S>(dp[k] * T(state->loss_scale));
  }
};

/// Turns a per-sample functor into a Loss. F is small and trivially copyable, its settings are members of type double,
/// and it has
///   static constexpr int pred, target;                                      // numbers per sample
///   template <class T> TT_HD T eval(const T* p, const T* t, T* dp) const;   // returns the loss, writes d loss / d p
///   static void sample(Random&, double* p, double* t, int i);               // where to check it, kinks and corners
///   included static constexpr Setting<F> settings[];                                 // optional
/// or, where backward holds a constant c, eval(p, t, c, dp) beside `T held(p, t)`, which computes c.
template <class F>
class SampleLoss final : public Loss {
 public:
  SampleLoss(std::string name, const F& f) : name_(std::move(name)), f_(f) {}
  std::string name() const override { return name_; }
  int pred_width() const override { return F::pred; }
  int target_width() const override { return F::target; }
  void eval(Stream& s, Tensor pred, Tensor target, Tensor loss, Tensor dpred, const StepState* state) const override {
    check_loss_tensors(*this, pred, target, loss, dpred, state);
    visit_float(pred.dtype, [&](auto tag) {
      using S = typename decltype(tag)::type;
      using T = acc_t<S>;
      for_each(s, pred.shape.n, EvalSample<F, S>{f_, pred.as<S>(), target.as<T>(), loss.as<T>(), dpred.as<S>(), state});
    });
  }
  double worst_gradient_error(uint64_t seed) const override { return worst_slope_error(f_, seed); }

 private:
  std::string name_;
  F f_;
};

template <class F>
using NumberOf = double F::*;  // an alias, because nvcc writes the bare type out with parentheses that g++ warns of

/// A setting: its name in recipes and files, the member that holds it (whose initial value is the default) and its
/// range.
template <class F>
struct Setting {
  const char* name;
  NumberOf<F> member;
  double low = 0, high = std::numeric_limits<double>::max();
};

template <class F>
F with_settings(const LossSettings& settings) {
  F f;
  if constexpr (requires { F::settings; }) {
    for (const Setting<F>& s : F::settings) f.*s.member = settings.at(s.name);
  }
  return f;
}

/// What the registry holds of F. Four numbers against four make a box loss, which a detection loss can take too.
template <class F>
LossEntry loss_entry() {
  LossEntry e;
  if constexpr (requires { F::settings; }) {
    for (const Setting<F>& s : F::settings) e.settings[s.name] = {F{}.*s.member, s.low, s.high};
  }
  e.make = [](const std::string& name, const LossSettings& settings) -> std::unique_ptr<Loss> {
    return std::make_unique<SampleLoss<F>>(name, with_settings<F>(settings));
  };
  if constexpr (F::pred == 4 && F::target == 4) {
    e.make_detection = [](const std::string& name, const DetectionSettings& settings) -> std::unique_ptr<Loss> {
      return std::make_unique<DetectionLoss<F>>(name,
                                                DetectionSample<F>(with_settings<F>(settings.box_settings), settings));
    };
  }
  return e;
}

}  // namespace telltale

/// TT_REGISTER_LOSS("giou", Giou); at namespace scope, once a file.
#define TT_REGISTER_LOSS(name, F) static const ::telltale::RegisterLoss registered(name, ::telltale::loss_entry<F>())
