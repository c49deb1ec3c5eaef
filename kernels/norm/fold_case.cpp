// A batch norm folded into a filter against its definition in double.
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/norm/fold.h"

namespace telltale {
namespace {

using Vec = std::vector<double>;

void fold(CaseRun& run, const Shape& w, bool biased) {
  const DType acc = accumulator_of(run.dtype);
  const Shape v{1, 1, 1, w.n};
  FoldNormArgs a{.w = run.input(w, acc, -1, 1),
                 .bias = biased ? run.input(v, acc, -1, 1) : Tensor{},
                 .gamma = run.input(v, acc, -2, 2),
                 .beta = run.input(v, acc, -1, 1),
                 .mean = run.input(v, acc, -1, 1),
                 .var = run.input(v, acc, 0, 2),
                 .to_w = run.output(w),
                 .to_bias = run.output(v, acc)};
  run.op(double(a.w.bytes() + a.to_w.bytes()), double(w.numel()), [&] { fold_norm(run.stream, a); });
  if (!run.is_test()) return;
  const Vec filter = run.values(a.w), gamma = run.values(a.gamma), beta = run.values(a.beta), mean = run.values(a.mean),
            var = run.values(a.var);
  const Vec bias = biased ? run.values(a.bias) : Vec(size_t(w.n), 0);
  Vec folded(filter.size()), shift(size_t(w.n));
  double largest = 1;
  for (size_t k = 0; k < shift.size(); ++k) {
    const double scale = gamma[k] / std::sqrt(var[k] + double(a.eps));
    const size_t each = filter.size() / shift.size();
    for (size_t i = 0; i < each; ++i) folded[k * each + i] = filter[k * each + i] * scale;
    shift[k] = beta[k] + (bias[k] - mean[k]) * scale;
    largest = std::max(largest, std::abs(scale));
  }
  // Rounded once, halves from f32; in f64 as often as there are products.
  run.expect("w", a.to_w, folded, run.is_f64() ? 4 : 0.51, 1e-3);
  run.expect("bias", a.to_bias, shift, run.is_f64() ? 4 : 0.51, run.is_f64() ? largest : 1e-3);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  for (const Shape& w :
       {Shape{1, 1, 1, 1}, Shape{5, 3, 3, 7}, Shape{24, 3, 3, 16}, Shape{64, 1, 1, 96}, Shape{3, 5, 5, 4}})
    for (const bool biased : {false, true})
      to.push_back({"fold_norm", to_string(w) + (biased ? " bias" : ""), kAllFloats,
                    [=](CaseRun& run) { fold(run, w, biased); }});
  to.push_back({"fold_norm",
                to_string(Shape{512, 3, 3, 512}),
                {DType::f32, DType::f16},
                [](CaseRun& run) {
                  fold(run, {512, 3, 3, 512}, false);
                },
                true,
                false});
});

}  // namespace
}  // namespace telltale
