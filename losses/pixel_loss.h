#pragma once
// From a formula over one sample's map to a Loss on both devices: what a pixel loss's file includes. Launches kernels:
// only .cu files include this.
#include "base/check.h"
#include "kernels/device/dispatch.h"
#include "kernels/device/launch.h"
#include "losses/pixel_check.h"
#include "losses/pixels.h"
#include "losses/sample_loss.h"

namespace telltale {

/// Columns behind PixelTerms: the formula's sums, later their gradients, and what the intersection is made of.
template <class F>
struct PixelWork {
  enum : int { sums = PixelTerms::count, both = sums + F::sums, either, count };
};

/// First: sums over one row of pixels, in order.
template <class F, class S>
struct SumPixelRow {
  using T = acc_t<S>;
  F f;
  const S* pred;
  const T* target;
  T* terms;
  int width;
  TT_HD void operator()(int64_t row) const {
    T sums[F::sums] = {}, correct = 0, both = 0, either = 0;
    for (int64_t i = row * width; i < (row + 1) * width; ++i) {
      const T x = load(pred[i]), t = target[i];
      f.add(x, t, sums);
      const bool called = x >= 0, is = t >= T(0.5);
      correct += called == is;
      both += called && is;
      either += called || is;
    }
    T* out = terms + row * PixelWork<F>::count;
    for (int k = 0; k < F::sums; ++k) out[PixelWork<F>::sums + k] = sums[k];
    out[PixelTerms::correct] = correct;
    out[PixelWork<F>::both] = both;
    out[PixelWork<F>::either] = either;
  }
};

/// Second: a sample's value from its rows' sums, and the gradient of its sums into each of its rows.
template <class F, class S>
struct ValuePixelMap {
  using T = acc_t<S>;
  F f;
  T* terms;
  int height, width;
  const StepState* state;
  double weight;
  TT_HD void operator()(int64_t n) const {
    constexpr int columns = PixelWork<F>::count;
    T* rows = terms + n * height * columns;
    T all[columns] = {};
    for (int row = 0; row < height; ++row)
      for (int k = PixelTerms::correct; k < columns; ++k) all[k] += rows[row * columns + k];
    using V = Dual<T, F::sums>;
    V sums[F::sums];
    for (int k = 0; k < F::sums; ++k) sums[k] = V::variable(all[PixelWork<F>::sums + k], k);
    const T pixels = T(height) * T(width), share = T(weight) / T(state->samples);
    const V value = f.value(sums, pixels);
    for (int row = 0; row < height; ++row) {
      T* out = rows + row * columns;
      for (int k = 0; k < PixelTerms::count; ++k) out[k] = 0;
      for (int k = 0; k < F::sums; ++k) out[PixelWork<F>::sums + k] = share * value.gradient[k];
    }
    rows[PixelTerms::total] = share * value.value;
    rows[PixelTerms::correct] = all[PixelTerms::correct] / pixels;
    const T either = all[PixelWork<F>::either];
    rows[PixelTerms::iou] = either > 0 ? all[PixelWork<F>::both] / either : T(0);
  }
};

/// Third: a pixel's gradient.
template <class F, class S>
struct PixelGradient {
  using T = acc_t<S>;
  F f;
  const S* pred;
  const T* target;
  const T* terms;
  S* dpred;
  int width;
  const StepState* state;
  TT_HD void operator()(int64_t i) const {
    using V = Dual<T, 1>;
    V sums[F::sums] = {};
    f.add(V::variable(load(pred[i]), 0), target[i], sums);
    const T* of_sums = terms + i / width * PixelWork<F>::count + PixelWork<F>::sums;
    T d = 0;
    for (int k = 0; k < F::sums; ++k) d += of_sums[k] * sums[k].gradient[0];
    dpred[i] = store<S>(d * T(state->loss_scale));
  }
};

/// Turns a formula into a Loss. F is small and trivially copyable, its settings are members of type double, and it has
///   static constexpr const char* about;       // one line: what it is, and its paper
///   static constexpr int sums;                // how many sums over a map it needs
///   template <class V, class T> TT_HD void add(const V& x, T t, V* sums) const;   // a pixel's: logit, label in [0, 1]
///   template <class V, class T> TT_HD V value(const V* sums, T pixels) const;     // the loss of a map
/// and if it likes  static constexpr Setting<F> settings[];
/// Three passes, all sums in a fixed order.
template <class F>
class PixelLoss final : public Loss {
 public:
  PixelLoss(std::string name, const F& f, double weight) : name_(std::move(name)), f_(f), weight_(weight) {}
  std::string name() const override { return name_; }
  int pred_width() const override { return 1; }
  int target_width() const override { return 1; }
  int terms() const override { return PixelWork<F>::count; }
  void eval(Stream& s, Tensor pred, Tensor target, Tensor terms, Tensor dpred, const StepState* state) const override {
    check_pixel_tensors(*this, pred, target, terms, dpred, state);
    const Shape& map = pred.shape;
    visit_float(pred.dtype, [&]<class S>(Tag<S>) {
      using T = acc_t<S>;
      const int64_t rows = int64_t(map.n) * map.h;
      for_each(s, rows, SumPixelRow<F, S>{f_, pred.as<S>(), target.as<T>(), terms.as<T>(), map.w}, 8 * map.w);
      for_each(s, map.n, ValuePixelMap<F, S>{f_, terms.as<T>(), map.h, map.w, state, weight_}, 8 * map.h);
      for_each(s, rows * map.w,
               PixelGradient<F, S>{f_, pred.as<S>(), target.as<T>(), terms.as<T>(), dpred.as<S>(), map.w, state}, 8);
    });
  }
  double worst_gradient_error(uint64_t seed) const override { return worst_pixel_gradient_error(*this, seed); }

 private:
  std::string name_;
  F f_;
  double weight_;
};

/// What registers F: `static const RegisterPixelLoss registered(pixel_loss_entry<F>("focal"));` in pixel_focal.cu.
template <class F>
PixelLossEntry pixel_loss_entry(const std::string& name) {
  PixelLossEntry e;
  e.info.name = name;
  e.info.about = F::about;
  e.info.pred = e.info.target = 1;
  if constexpr (requires { F::settings; }) {
    for (const Setting<F>& s : F::settings) e.info.settings[s.name] = {F{}.*s.member, s.low, s.high};
  }
  e.make = [](const std::string& as, const LossSettings& settings, double weight) -> std::unique_ptr<Loss> {
    return std::make_unique<PixelLoss<F>>(as, with_settings<F>(settings), weight);
  };
  return e;
}

}  // namespace telltale
