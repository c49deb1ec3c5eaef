// Relu and bias backward against sums in long double.
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/relu_bias.h"

namespace telltale {
namespace {

void backward(CaseRun& run, Shape shape, GradMode mode) {
  const Shape v{1, 1, 1, shape.c};
  const DType acc = accumulator_of(run.dtype);
  const Tensor y = run.input(shape), dy = run.input(shape);
  const Tensor dbias = mode == GradMode::overwrite ? run.output(v, acc) : run.input(v, acc, -1, 1);
  const bool test = run.is_test();
  std::vector<double> dx = test ? run.values(dy) : std::vector<double>(), want = test ? run.values(dbias) : dx;
  // Read: y, dy. Written: dy. It may run more than once: what is masked stays masked.
  const ReluBiasGradArgs args{y, dy, dbias, mode};
  run.op(3 * double(y.bytes()), 2 * double(shape.numel()), [&] { relu_bias_backward(run.stream, args); });
  if (!test) return;
  std::vector<long double> sums(size_t(shape.c), 0);
  const std::vector<double> out = run.values(y);
  for (size_t i = 0; i < dx.size(); ++i) {
    if (!(out[i] > 0)) dx[i] = 0;
    sums[i % size_t(shape.c)] += dx[i];
  }
  run.expect("dx", dy, dx, 0);
  for (size_t c = 0; c < sums.size() && mode != GradMode::ignore; ++c)
    want[c] = (mode == GradMode::accumulate ? want[c] : 0) + double(sums[c]);
  const double terms = std::max(1.0, std::sqrt(double(shape.rows())));
  run.expect("dbias", dbias, want, mode == GradMode::ignore ? 0 : 8, terms);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const auto add = [&](const Shape& shape, GradMode mode, bool bench = false) {
    static const char* const modes[] = {" ignore", "", " accumulate"};
    to.push_back({"relu_bias_backward", to_string(shape) + modes[int(mode)],
                  bench ? std::vector{DType::f32, DType::bf16} : kAllFloats,
                  [=](CaseRun& run) { backward(run, bench ? run.sized(shape) : shape, mode); }, bench, !bench});
  };
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{1, 1, 1, 17}, Shape{2, 5, 7, 3}, Shape{1, 13, 17, 1},
                             Shape{3, 7, 5, 17}, Shape{4, 33, 35, 24}, Shape{1, 7, 7, 600}, Shape{64, 1, 1, 96}})
    for (const GradMode mode : {GradMode::overwrite, GradMode::accumulate, GradMode::ignore}) add(shape, mode);
  add({24, 112, 112, 64}, GradMode::overwrite, true);
});

}  // namespace
}  // namespace telltale
