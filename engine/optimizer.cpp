#include "engine/optimizer.h"

#include <cmath>
#include <numbers>

#include "kernels/adam.h"

namespace telltale {

void Adam::step(Stream& s, const ParamArena& p, const StepState* state) const {
  AdamArgs a{
      .master = p.master, .grad = p.grad, .m = p.m, .v = p.v, .shadow = p.shadow, .count = p.count, .state = state};
  a.beta1 = beta1_;
  a.beta2 = beta2_;
  a.eps = eps_;
  a.weight_decay = weight_decay_;
  adam(s, a);
}

double Schedule::at(int64_t step) const {
  if (warmup > 0 && step < warmup) return lr * double(step) / double(warmup);
  if (kind == Kind::constant) return lr;
  const double span = double(std::max<int64_t>(1, total - warmup));
  const double done = std::min(1.0, double(step - warmup) / span);
  return lr * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

}  // namespace telltale
