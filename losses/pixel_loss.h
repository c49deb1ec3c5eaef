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

/// Of a row of pixels or a map: how many calls (a logit from 0 on says painted) have their label's sign, and what
/// the intersection over union is made of.
template <class T>
struct PixelCalls {
  T correct = 0, both = 0, either = 0;
  TT_HD static bool painted(T label) { return label >= T(0.5); }
  TT_HD void add(T logit, T label) {
    const bool called = logit >= 0, is = painted(label);
    correct += called == is;
    both += called && is;
    either += called || is;
  }
  /// Writes a map's shares to its PixelTerms.
  TT_HD void write(T* terms, T pixels) const {
    terms[PixelTerms::correct] = correct / pixels;
    terms[PixelTerms::iou] = either > 0 ? both / either : T(0);
  }
};

/// A formula that weighs a pixel by what is painted around it.
template <class F>
concept LooksAround = requires(const F f, const double* labels) {
  f.weight(labels, 1, 1, 0, 0);
};

/// Adds pixel i's sums, counted through all maps of a batch.
template <class F, class V, class T>
TT_HD void add_pixel(const F& f, const V& x, const T* target, int height, int width, int64_t i, V* sums) {
  if constexpr (LooksAround<F>) {
    const int64_t pixels = int64_t(height) * width, of_map = i % pixels;
    f.add(x, target[i], f.weight(target + (i - of_map), height, width, int(of_map / width), int(of_map % width)), sums);
  } else {
    f.add(x, target[i], sums);
  }
}

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
  int height, width;
  TT_HD void operator()(int64_t row) const {
    T sums[F::sums] = {};
    PixelCalls<T> calls;
    for (int64_t i = row * width; i < (row + 1) * width; ++i) {
      const T x = load(pred[i]);
      add_pixel(f, x, target, height, width, i, sums);
      calls.add(x, target[i]);
    }
    T* out = terms + row * PixelWork<F>::count;
    for (int k = 0; k < F::sums; ++k) out[PixelWork<F>::sums + k] = sums[k];
    out[PixelTerms::correct] = calls.correct;
    out[PixelWork<F>::both] = calls.both;
    out[PixelWork<F>::either] = calls.either;
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
    const PixelCalls<T> calls{all[PixelTerms::correct], all[PixelWork<F>::both], all[PixelWork<F>::either]};
    calls.write(rows, pixels);
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
  int height, width;
  const StepState* state;
  TT_HD void operator()(int64_t i) const {
    using V = Dual<T, 1>;
    V sums[F::sums] = {};
    add_pixel(f, V::variable(load(pred[i]), 0), target, height, width, i, sums);
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
/// One that weighs a pixel by the labels around it has, instead of that add,
///   template <class T> TT_HD T weight(const T* labels, int height, int width, int y, int x) const;  // labels: the map
///   template <class V, class T> TT_HD void add(const V& x, T t, T weight, V* sums) const;
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
      for_each(s, rows, SumPixelRow<F, S>{f_, pred.as<S>(), target.as<T>(), terms.as<T>(), map.h, map.w}, 8 * map.w);
      for_each(s, map.n, ValuePixelMap<F, S>{f_, terms.as<T>(), map.h, map.w, state, weight_}, 8 * map.h);
      for_each(s, rows * map.w,
               PixelGradient<F, S>{f_, pred.as<S>(), target.as<T>(), terms.as<T>(), dpred.as<S>(), map.h, map.w, state},
               8);
    });
  }
  double worst_gradient_error(uint64_t seed) const override { return worst_pixel_gradient_error(*this, seed); }

 private:
  std::string name_;
  F f_;
  double weight_;
};

/// What registers F: `static const RegisterPixelLoss registered(pixel_loss_entry<F>("focal"));` in pixel_focal.cu.
/// L: what evaluates it, where sums over pixels do not.
template <class F, class L = PixelLoss<F>>
PixelLossEntry pixel_loss_entry(const std::string& name) {
  PixelLossEntry e;
  e.info.name = name;
  e.info.about = F::about;
  e.info.pred = e.info.target = 1;
  if constexpr (requires { F::settings; }) {
    for (const Setting<F>& s : F::settings) e.info.settings[s.name] = {F{}.*s.member, s.low, s.high};
  }
  e.make = [](const std::string& as, const LossSettings& settings, double weight) -> std::unique_ptr<Loss> {
    return std::make_unique<L>(as, with_settings<F>(settings), weight);
  };
  return e;
}

}  // namespace telltale
