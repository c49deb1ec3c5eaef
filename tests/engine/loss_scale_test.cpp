// Training in f16: gradients that f16 alone would lose reach the optimiser, and a step that overflows changes nothing
// but the scale.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/layers/all.h"
#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "tests/devices.h"

namespace telltale {
namespace {

/// A loss of constant gradient: gradient·Σ pred.
class Incline : public Loss {
 public:
  explicit Incline(float gradient) : gradient_(gradient) {}
  std::string name() const override { return "incline"; }
  int pred_width() const override { return 3; }
  int target_width() const override { return 3; }
  void eval(Stream& s, Tensor, Tensor, Tensor, Tensor dpred, const StepState* state) const override {
    StepState now;
    download(s, &now, {const_cast<StepState*>(state), {1, 1, 1, int(sizeof now)}, DType::u8});
    set_values(s, dpred, std::vector<double>(size_t(dpred.shape.numel()), double(gradient_) * double(now.loss_scale)));
  }
  double worst_gradient_error(uint64_t) const override { return 0; }

 private:
  float gradient_;
};

/// A net of two layers and what it needs to take steps.
struct Training {
  Stream& stream;
  Value y;
  std::unique_ptr<Program> program;
  int64_t step = 0;

  Training(Stream& s, DType compute, bool scaled) : stream(s) {
    Graph graph;
    const Value x = graph.input({2, 4, 4, 8});
    y = graph.add<Linear>("fc", {graph.add<Conv>("conv", {x}, Conv::Settings{8, 3, {1, 1, 1, 0}})},
                          Linear::Settings{3});
    Options options{.compute = compute, .training = true, .seed = 3};
    options.dynamic_loss_scale = scaled;
    program = std::make_unique<Program>(graph, stream, options);
    std::vector<double> values(2 * 4 * 4 * 8);
    for (size_t i = 0; i < values.size(); ++i) values[i] = double(i % 7) / 8 - 0.375;
    set_values(stream, program->tensor(x), values);
  }
  void take_step(const Loss& loss) {
    program->set_state({.step = ++step, .lr = 1e-3f});
    program->gradients(y, loss, {}, {}, false);
    program->update(Adam());
  }
  std::vector<double> weights() { return program->params().read(stream, *program->params().find("conv.weight")); }
  std::vector<double> first_moment() { return values_of(stream, program->params().find("conv.weight")->m); }
};

class LossScaling : public OnDevice {};

TEST_P(LossScaling, KeepsGradientsThatF16AloneLoses) {
  const Incline faint(1e-8f);  // below half of f16's smallest number
  Stream s = stream();
  Training reference(s, DType::f32, false), bare(s, DType::f16, false), scaled(s, DType::f16, true);
  for (Training* t : {&reference, &bare, &scaled}) t->take_step(faint);
  const std::vector<double> expected = reference.first_moment(), got = scaled.first_moment();
  double scale = 0, error = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    // The optimiser divides by the scale, so that moments are the same at any scale.
    scale = std::max(scale, std::abs(expected[i]));
    error = std::max(error, std::abs(got[i] - expected[i]));
  }
  EXPECT_GT(scale, 0);
  EXPECT_LT(error, 0.01 * scale);
  EXPECT_EQ(bare.first_moment(), std::vector<double>(expected.size(), 0.0)) << "without scaling nothing should arrive";
}

TEST_P(LossScaling, SkipsStepsThatOverflowUntilTheScaleFits) {
  const Incline steep(16);  // f16 ends at 65504
  Stream s = stream();
  Training t(s, DType::f16, true);
  const std::vector<double> before = t.weights();
  t.program->set_loss_scale({.scale = 262144});
  const float scales[] = {131072, 65536, 32768, 16384, 8192, 4096};
  int skipped = 0;
  for (float scale : scales) {
    t.take_step(steep);
    const LossScale now = t.program->loss_scale();
    if (now.skipped == skipped) break;
    EXPECT_EQ(now.skipped, ++skipped);
    EXPECT_EQ(now.scale, scale);
    EXPECT_EQ(t.weights(), before) << "a skipped step moved the weights";
  }
  EXPECT_GE(skipped, 6);  // 16·4096 is the first that fits, if nothing grows on the way
  for (int i = 0; i < 8 && t.weights() == before; ++i) t.take_step(steep);
  EXPECT_NE(t.weights(), before) << "the scale never came down far enough";
  for (double w : t.weights()) ASSERT_TRUE(std::isfinite(w));
  EXPECT_EQ(t.program->state().overflow, 0u);
}

TEST_P(LossScaling, GoesOnFromASavedScaleBitForBit) {
  const Incline loss(0.5f);
  Stream s = stream();
  Training one(s, DType::f16, true), other(s, DType::f16, true);
  one.program->set_loss_scale({.scale = 1024, .good_steps = 1999, .skipped = 4});
  other.program->set_loss_scale(one.program->loss_scale());
  for (int i = 0; i < 2; ++i) {
    one.take_step(loss);
    other.take_step(loss);
  }
  EXPECT_EQ(one.program->loss_scale().scale, 2048) << "2000 good steps double the scale";
  EXPECT_EQ(one.program->loss_scale().good_steps, 1);
  EXPECT_EQ(one.program->loss_scale().skipped, 4);
  EXPECT_EQ(one.weights(), other.weights());
}

INSTANTIATE_TEST_SUITE_P(Devices, LossScaling, every_device(), device_label);

}  // namespace
}  // namespace telltale
