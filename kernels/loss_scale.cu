#include "kernels/device/launch.h"
#include "kernels/loss_scale.h"

namespace telltale {
namespace {

struct ApplyLossScale {
  const LossScale* from;
  StepState* state;
  TT_HD void operator()(int64_t) const {
    state->loss_scale = from->scale;
    state->overflow = 0;
  }
};

struct AdaptLossScale {
  LossScale* s;
  const StepState* state;
  LossScaleRule rule;
  TT_HD void operator()(int64_t) const {
    const bool overflowed = state->overflow != 0;
    s->skipped += overflowed;
    s->good_steps = overflowed ? 0 : s->good_steps + 1;
    const bool grows = s->good_steps >= rule.interval;
    if (grows) s->good_steps = 0;
    const float wanted = s->scale * (overflowed ? rule.backoff : grows ? rule.growth : 1.f);
    s->scale = wanted < rule.least ? rule.least : wanted > rule.most ? rule.most : wanted;
  }
};

}  // namespace

void apply_loss_scale(Stream& s, const LossScale* scale, StepState* state) {
  for_each(s, 1, ApplyLossScale{scale, state});
}

void adapt_loss_scale(Stream& s, LossScale* scale, const StepState* state, const LossScaleRule& rule) {
  for_each(s, 1, AdaptLossScale{scale, state, rule});
}

}  // namespace telltale
