#pragma once
// Dynamic loss scaling for f16 (Micikevicius 2018, §3.2), all on the device, so that a captured step needs no host.
#include "kernels/device/dispatch.h"

namespace telltale {

/// What loss scaling remembers between steps; it lives on the stream's device.
struct LossScale {
  float scale = 65536;
  int32_t good_steps = 0;  ///< finite ones since the scale last changed
  int64_t skipped = 0;     ///< steps lost to an overflow so far
};

/// How the scale follows overflows.
struct LossScaleRule {
  float growth = 2, backoff = 0.5f, least = 1, most = 16777216;
  int interval = 2000;  ///< good steps before it grows
};

/// Before a step: state->loss_scale = scale, and state->overflow = 0.
void apply_loss_scale(Stream&, const LossScale*, StepState* state);
/// After it: backs off when state->overflow is set, grows after `interval` good steps in a row.
void adapt_loss_scale(Stream&, LossScale*, const StepState* state, const LossScaleRule& = {});

}  // namespace telltale
