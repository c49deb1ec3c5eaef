// The discriminator against PyTorch: scores, hinge losses, every gradient and the vectors of its power iterations.
#include "kernels/reduce.h"
#include "losses/loss.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/golden_case.h"

namespace telltale {
namespace {

constexpr double kForward = 1e-5, kGradient = 1e-4;

/// One side of the hinge loss: half of the scores against ±1, its mean.
double half_loss(Program& p, Value scores, int which, double sign) {
  Stream& s = p.stream();
  const auto half = [&](Tensor t) {
    const int n = int(t.shape.numel() / 2);
    return Tensor{static_cast<char*>(t.data) + size_t(which * n) * size_of(t.dtype), {n, 1, 1, 1}, t.dtype};
  };
  const Tensor pred = half(p.tensor(scores)), gradient = half(p.gradient(scores));
  const DType wide = accumulator_of(pred.dtype);
  OwnedTensor target(s.place(), pred.shape, wide), loss(s.place(), pred.shape, wide);
  set_values(s, target, std::vector<double>(size_t(pred.shape.n), sign));
  OwnedTensor state(s.place(), {1, 1, 1, int(sizeof(StepState))}, DType::u8);
  const StepState neutral;
  upload(s, state, &neutral);
  make_loss("hinge", {{"weight", 1.0 / pred.shape.n}})
      ->eval(s, pred, target, loss, gradient, state.tensor.as<const StepState>());
  double sum = 0;
  for (double v : values_of(s, loss)) sum += v;
  return sum;
}

void replay(Stream& s, DType type) {
  const Safetensors file = Safetensors::open(TT_SOURCE_DIR "/tests/golden/patch_gan.safetensors");
  const auto& dims = file.info("input").shape;
  const Shape shape{int(dims[0]), int(dims[2]), int(dims[3]), int(dims[1])};
  Graph g;
  const Value x = g.input(shape);
  const Value scores = patch_gan(g, x, {.width = std::stoi(file.metadata().at("width"))});
  Program p(g, s, {.compute = type, .training = true, .input_gradients = true});
  const StateDict params = under_prefix(file.state_dict(), "param.");
  for (const Param& q : p.params().all()) {
    const StateTensor& t = require(params, q.spec.names[0]);
    // PyTorch keeps weight_v flat; the numbers run over channels, rows and columns, as a filter's do.
    assign(s, q.spec, q.value, {&t});
  }
  p.params_changed();
  set_values(s, p.tensor(x), nhwc_of(file.read_f64("input"), shape));
  double loss = 0;
  for (int step = 0; step < 2; ++step) {
    p.forward();
    loss = half_loss(p, scores, 0, 1) + half_loss(p, scores, 1, -1);
    p.backward(false);
  }
  expect_close("scores", values_of(s, p.tensor(scores)),
               nhwc_of(file.read_f64("expect.scores"), p.tensor(scores).shape), kForward);
  EXPECT_NEAR(loss, file.read_f64("expect.loss")[0], kForward * std::abs(loss));
  expect_close("input's gradient", values_of(s, p.gradient(x)), nhwc_of(file.read_f64("expect.input_grad"), shape),
               kGradient);
  int compared = 0;
  for (const Param& q : p.params().all()) {
    const std::string& name = q.spec.names[0];
    const std::string key = (q.trainable ? "expect.grad." : "expect.") + name;
    const auto got = to_state_dict(q.spec, values_of(s, q.trainable ? q.grad : q.value))[0];
    expect_close(name, got, file.read_f64(key), q.trainable ? kGradient : kForward);
    ++compared;
  }
  EXPECT_EQ(compared, 24);
}

class GoldenAdversary : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, GoldenAdversary, every_device(), device_label);

TEST_P(GoldenAdversary, EqualsPyTorch) {
  Stream s = stream();
  for (DType type : {DType::f32, DType::f64}) {
    SCOPED_TRACE(name_of(type));
    replay(s, type);
  }
}

}  // namespace
}  // namespace telltale
