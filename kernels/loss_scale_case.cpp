// The loss scale against a list of what it must be after each step.
#include "kernels/case/op_case.h"
#include "kernels/loss_scale.h"

namespace telltale {
namespace {

Tensor bytes(const Buffer& b, size_t n) { return b.view({1, 1, 1, int(n)}, DType::u8); }

void follow(CaseRun& run) {
  Stream& s = run.stream;
  const LossScaleRule rule{.most = 32, .interval = 3};
  const Buffer scale_memory(s.place(), sizeof(LossScale)), state_memory(s.place(), sizeof(StepState));
  auto* scale = static_cast<LossScale*>(scale_memory.data());
  auto* state = static_cast<StepState*>(state_memory.data());
  LossScale now{.scale = 4};
  upload(s, bytes(scale_memory, sizeof now), &now);
  struct Step {
    bool overflow;
    float scale;
  };
  const Step steps[] = {{false, 4},  {false, 4},  {false, 8},  {false, 8},  {true, 4},   {false, 4},
                        {false, 4},  {false, 8},  {true, 4},   {true, 2},   {true, 1},   {true, 1},
                        {false, 1},  {false, 1},  {false, 2},  {false, 2},  {false, 2},  {false, 4},
                        {false, 4},  {false, 4},  {false, 8},  {false, 8},  {false, 8},  {false, 16},
                        {false, 16}, {false, 16}, {false, 32}, {false, 32}, {false, 32}, {false, 32}};
  int64_t skipped = 0;
  for (const Step& step : steps) {
    StepState host{.step = 7, .lr = 0.5f, .seed = 9, .overflow = 1};
    upload(s, bytes(state_memory, sizeof host), &host);
    apply_loss_scale(s, scale, state);
    download(s, &host, bytes(state_memory, sizeof host));
    run.require(cat("the step sees a scale of ", now.scale, ", not ", host.loss_scale), host.loss_scale == now.scale);
    run.require("an old overflow is cleared, nothing else", !host.overflow && host.step == 7 && host.seed == 9);
    host.overflow = step.overflow;
    upload(s, bytes(state_memory, sizeof host), &host);
    run.op(sizeof now, 0, [&] { adapt_loss_scale(s, scale, state, rule); });
    download(s, &now, bytes(scale_memory, sizeof now));
    skipped += step.overflow;
    run.require(cat("the scale becomes ", step.scale, ", not ", now.scale), now.scale == step.scale);
    run.require("every overflow is counted once", now.skipped == skipped);
  }
}

const RegisterCases registered([](std::vector<OpCase>& to) {
  to.push_back({"loss_scale", "30 steps", {DType::f32}, follow});
});

}  // namespace
}  // namespace telltale
