#pragma once
// From one sample's formula to a Loss on both devices: what a loss's file includes. Launches kernels: only .cu files
// and loss files include this.
#include "losses/rows.h"
#include "losses/samplers.h"

#ifdef __CUDACC_RTC__
// A loss file compiled on the machine that trains: only its kernels are wanted, two per storage type.
#define TT_REGISTER_LOSS(name, F)                                                                                 \
  extern "C" __global__ void eval_f32(int64_t n, ::telltale::EvalRow<F, float> f) { each_row(n, f); }             \
  extern "C" __global__ void eval_f64(int64_t n, ::telltale::EvalRow<F, double> f) { each_row(n, f); }            \
  extern "C" __global__ void eval_bf16(int64_t n, ::telltale::EvalRow<F, ::telltale::bf16> f) { each_row(n, f); } \
  extern "C" __global__ void eval_f16(int64_t n, ::telltale::EvalRow<F, ::telltale::f16> f) { each_row(n, f); }   \
  extern "C" __global__ void detect_f32(int64_t n, ::telltale::DetectionRow<F, float> f) { each_row(n, f); }      \
  extern "C" __global__ void detect_f64(int64_t n, ::telltale::DetectionRow<F, double> f) { each_row(n, f); }     \
  extern "C" __global__ void detect_bf16(int64_t n, ::telltale::DetectionRow<F, ::telltale::bf16> f) {            \
    each_row(n, f);                                                                                               \
  }                                                                                                               \
  extern "C" __global__ void detect_f16(int64_t n, ::telltale::DetectionRow<F, ::telltale::f16> f) { each_row(n, f); }
namespace telltale {
template <class K>
__device__ void each_row(int64_t n, const K& row) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) row(i);
}
}  // namespace telltale
#else
#include "kernels/device/dispatch.h"
#include "kernels/device/launch.h"
#include "losses/loss_file.h"
#include "losses/registry.h"

namespace telltale {

/// Turns a per-sample functor into a Loss. F is small and trivially copyable, its settings are members of type double,
/// and it has
///   static constexpr int pred, target;                                      // numbers per sample
///   template <class V, class T> TT_HD V value(const V* p, const T* t) const;  // the formula; V: a number with
///   gradients
/// and if it likes
///   static constexpr const char* about;                                     // one line: what it is, and its paper
///   static constexpr Setting<F> settings[];
///   static void sample(Random&, double* p, double* t, int i);  // where to check it, kinks and corners included;
///   without
///                                                              // it 4 against 4 numbers are boxes, 1 against 1 a
///                                                              logit and a label
///   template <class T> TT_HD T eval(const T* p, const T* t, T* dp) const;   // value and gradient, by hand
/// A hand-written eval is what trains; it must agree with the formula's own gradient, and both with differences.
template <class F>
class SampleLoss final : public RowLoss {
 public:
  SampleLoss(std::string name, const F& f) : name_(std::move(name)), f_(f) {}
  std::string name() const override { return name_; }
  int pred_width() const override { return F::pred; }
  int target_width() const override { return F::target; }
  void eval_share(Stream& s, const Share& share) const override {
    visit_float(share.pred.dtype, [&](auto tag) {
      using S = typename decltype(tag)::type;
      enqueue(s, "eval_", share.pred, row_of<S>(f_, share));
    });
  }
  void eval_after_bce(Stream& s, const Share& classification, const Share& box) const override {
    visit_float(box.pred.dtype, [&](auto tag) {
      using S = typename decltype(tag)::type;
      enqueue(s, "detect_", box.pred, DetectionRow<F, S>{row_of<S>(Bce{}, classification), row_of<S>(f_, box)});
    });
  }
  void eval_first_row(const Share& share) const override { row_of<double>(f_, share)(0); }
  GradientCheck gradient_check() const override { return telltale::gradient_check(f_); }
  GradientCheck dual_check() const override {
    GradientCheck check = telltale::gradient_check(f_);
    check.gradient = [f = f_](const double* p, const double* t, double* dp) { return dual_gradient(f, p, t, dp); };
    return check;
  }

 private:
  /// `kernel` and the storage type's name make that of a loss file's entry point.
  template <class Row>
  void enqueue(Stream& s, [[maybe_unused]] const char* kernel, const Tensor& pred, const Row& row) const {
#ifdef TT_LOSS_FILE  // compiled from a loss file: its kernels are not in this program
    if (s.is_cuda()) return launch_loss_file(name_, s, cat(kernel, name_of(pred.dtype)), pred.shape.n, &row);
#endif
    for_each(s, pred.shape.n, row);
  }
  template <class S, class G>
  static EvalRow<G, S> row_of(const G& g, const Share& s) {
    using T = acc_t<S>;
    return {g,       s.pred.as<S>(), s.target.as<T>(), s.loss.as<T>(), s.dpred.as<S>(),
            s.state, s.weight,       s.unit_x,         s.unit_y,       s.role};
  }
  std::string name_;
  F f_;
};

template <class F>
F with_settings(const LossSettings& settings) {
  F f;
  if constexpr (requires { F::settings; }) {
    for (const Setting<F>& s : F::settings) f.*s.member = settings.at(s.name);
  }
  return f;
}

/// What the registry holds of F.
template <class F>
LossEntry loss_entry(const std::string& name) {
  LossEntry e;
  e.info.name = name;
  e.info.pred = F::pred;
  e.info.target = F::target;
  // Whoever draws samples of its own means something else by its two numbers.
  e.info.compares_labels = F::pred == 1 && F::target == 1 && !requires { &F::sample; };
  if constexpr (requires { F::about; }) e.info.about = F::about;
  if constexpr (requires { F::settings; }) {
    for (const Setting<F>& s : F::settings) e.info.settings[s.name] = {F{}.*s.member, s.low, s.high};
  }
  e.make = [](const std::string& as, const LossSettings& settings) -> std::unique_ptr<RowLoss> {
    return std::make_unique<SampleLoss<F> >(as, with_settings<F>(settings));
  };
  return e;
}

}  // namespace telltale

/// TT_REGISTER_LOSS("giou", Giou); at namespace scope, once a file.
#define TT_REGISTER_LOSS(name, F) static const ::telltale::RegisterLoss registered(::telltale::loss_entry<F>(name))
#endif
