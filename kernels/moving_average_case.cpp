// A moving average against its formula.
#include "kernels/case/op_case.h"
#include "kernels/moving_average.h"

namespace telltale {
namespace {

void average(CaseRun& run, Shape shape, double decay) {
  const Tensor x = run.input(shape), mean = run.input(shape);
  std::vector<double> want = run.is_test() ? run.values(mean) : std::vector<double>();
  run.op(3.0 * double(x.bytes()), 3.0 * double(shape.numel()), [&] { moving_average(run.stream, x, mean, decay); });
  if (!run.is_test()) return;
  const std::vector<double> in = run.values(x);
  for (size_t i = 0; i < want.size(); ++i) want[i] = decay * want[i] + (1 - decay) * in[i];
  run.expect("average", mean, want, 2);
}

const RegisterCases registered([](std::vector<OpCase>& to) {
  for (const Shape& x : {Shape{0, 1, 1, 3}, Shape{1, 1, 1, 1}, Shape{1, 1, 1, 37}, Shape{1, 1, 9, 256}}) {
    for (const double decay : {0.0, 0.999}) {
      to.push_back({"moving_average", to_string(x) + cat(" ", decay), {DType::f32, DType::f64}, [=](CaseRun& run) {
                      average(run, x, decay);
                    }});
    }
  }
  to.push_back({"moving_average",
                "16 M",
                {DType::f32},
                [](CaseRun& run) {
                  average(run, run.sized({1, 1, 1, 1 << 24}), 0.999);
                },
                true,
                false});
});

}  // namespace
}  // namespace telltale
