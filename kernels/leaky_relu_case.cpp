// Leaky ReLU against its formula, in place and not.
#include "kernels/case/op_case.h"
#include "kernels/leaky_relu.h"

namespace telltale {
namespace {

constexpr float kSlope = 0.2f;

void forward(CaseRun& run, Shape shape, bool in_place) {
  const Tensor x = run.input(shape, -3, 3), y = in_place ? x : run.output(shape);
  const std::vector<double> in = run.is_test() ? run.values(x) : std::vector<double>();
  run.op(2.0 * double(x.bytes()), double(shape.numel()), [&] { leaky_relu_forward(run.stream, x, y, kSlope); });
  if (!run.is_test()) return;
  std::vector<double> want = in;
  for (double& v : want) v = v > 0 ? v : v * double(kSlope);
  run.expect("y", y, want, 1, 0);
}

void backward(CaseRun& run, Shape shape, GradMode mode) {
  const Tensor x = run.input(shape, -3, 3), y = run.output(shape), dy = run.input(shape);
  const Tensor dx = mode == GradMode::overwrite ? run.output(shape) : run.input(shape);
  leaky_relu_forward(run.stream, x, y, kSlope);
  run.stream.sync();
  const std::vector<double> before = run.is_test() ? run.values(dx) : std::vector<double>();
  run.op(3.0 * double(x.bytes()), double(shape.numel()),
         [&] { leaky_relu_backward(run.stream, y, dy, dx, kSlope, mode); });
  if (!run.is_test()) return;
  std::vector<double> want = run.values(dy);
  const std::vector<double> at = run.values(y);
  for (size_t i = 0; i < want.size(); ++i) {
    want[i] *= at[i] > 0 ? 1 : double(kSlope);
    if (mode == GradMode::accumulate) want[i] += before[i];
    if (mode == GradMode::ignore) want[i] = before[i];
  }
  run.expect("dx", dx, want, 1);
  if (mode == GradMode::overwrite) {
    run.gradient("dx", x, dx, y, dy, [&] { leaky_relu_forward(run.stream, x, y, kSlope); });
  }
}

const RegisterCases registered([](std::vector<OpCase>& to) {
  for (const Shape& x : {Shape{0, 1, 1, 4}, Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{1, 31, 17, 24}}) {
    for (const bool in_place : {false, true}) {
      to.push_back({"leaky_relu_forward", to_string(x) + (in_place ? " in place" : ""), kAllFloats,
                    [=](CaseRun& run) { forward(run, x, in_place); }});
    }
    for (const GradMode mode : {GradMode::overwrite, GradMode::accumulate, GradMode::ignore}) {
      to.push_back({"leaky_relu_backward", to_string(x) + cat(" mode ", int(mode)), kAllFloats,
                    [=](CaseRun& run) { backward(run, x, mode); }});
    }
  }
  const Shape large{16, 64, 64, 64};
  to.push_back({"leaky_relu_forward",
                to_string(large),
                {DType::f32, DType::bf16},
                [=](CaseRun& run) { forward(run, run.sized(large), true); },
                true,
                false});
});

}  // namespace
}  // namespace telltale
