// Dropout against the draw its contract states, word for word, and against its share.
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/dropout.h"

namespace telltale {
namespace {

using Vec = std::vector<double>;

/// The contract: element i is kept when Philox(seed and node; i/4, step and micro-batch)[i mod 4] ≥ p.
bool kept(const StepState& state, uint32_t node, float p, size_t i) {
  const Philox4 words =
      philox(uint64_t(node) << 32 | state.seed, i / 4, uint64_t(state.step) << 32 | state.micro_batch);
  return uniform01(words.v[i % 4]) >= p;
}

void run_case(CaseRun& run, Shape shape, float p, GradMode mode) {
  StepState host{.step = 11, .seed = 77, .micro_batch = 2};
  const OwnedTensor memory(run.stream.place(), {1, 1, 1, int(sizeof(StepState))}, DType::u8);
  upload(run.stream, memory, &host);
  DropoutArgs a;
  a.x = run.input(shape, 0.5, 1);
  a.y = mode == GradMode::overwrite ? run.output(shape) : run.input(shape);
  a.p = p;
  a.node = 5;
  a.state = static_cast<const StepState*>(memory.tensor.data);
  a.mode = mode;
  const Vec before = run.is_test() ? run.values(a.y) : Vec();
  run.op(2 * double(a.x.bytes()), 10.0 * double(shape.numel()), [&] { dropout(run.stream, a); });
  if (!run.is_test()) return;
  const Vec x = run.values(a.x);
  const auto expected = [&](const StepState& state, uint32_t node) {
    Vec y(x.size());
    for (size_t i = 0; i < x.size(); ++i) y[i] = kept(state, node, p, i) ? x[i] / (1 - double(p)) : 0;
    return y;
  };
  const double ulps = size_of(run.dtype) == 2 ? 1 : 2;
  Vec y = expected(host, 5);
  for (size_t i = 0; i < y.size() && mode != GradMode::overwrite; ++i)
    y[i] = before[i] + (mode == GradMode::accumulate ? y[i] : 0);
  run.expect("y", a.y, y, mode == GradMode::ignore ? 0 : ulps, 2);
  if (mode != GradMode::overwrite) return;

  const auto draws_anew = [&](const char* of, StepState state, uint32_t node) {
    upload(run.stream, memory, &state);
    a.node = node;
    dropout(run.stream, a);
    run.expect(cat("y of another ", of), a.y, expected(state, node), ulps, 2);
    if (shape.numel() > 100 && p > 0) run.require(cat("another ", of, " draws anew"), run.values(a.y) != y);
  };
  StepState other = host;
  other.step = 12;
  draws_anew("step", other, 5);
  other = host;
  other.seed = 78;
  draws_anew("seed", other, 5);
  other = host;
  other.micro_batch = 3;
  draws_anew("micro-batch", other, 5);
  draws_anew("node", host, 6);
  upload(run.stream, memory, &host);
  a.node = 5;
  size_t count = 0;
  for (double v : y) count += v != 0;
  const double n = double(y.size()), share = 1 - double(p);  // within five standard deviations of the share
  run.require(cat("keeps ", count, " of ", n, " at p = ", p),
              std::abs(double(count) - n * share) <= 5 * std::sqrt(n * share * double(p)) + 1e-9);
  a.y = a.x;
  dropout(run.stream, a);
  run.expect("y in the place of x", a.y, y, ulps, 2);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const auto add = [&](Shape x, float p, GradMode mode, bool bench) {
    static const char* const modes[] = {" ignore", "", " accumulate"};
    to.push_back({"dropout", cat(to_string(x), " p ", p, modes[int(mode)]),
                  bench ? std::vector{DType::f32, DType::bf16} : kAllFloats,
                  [=](CaseRun& run) { run_case(run, run.sized(x), p, mode); }, bench, !bench});
  };
  for (const Shape& x : {Shape{1, 1, 1, 1}, Shape{1, 1, 1, 7}, Shape{2, 3, 5, 3}, Shape{3, 1, 1, 4097}}) {
    for (const float p : {0.0f, 0.25f, 0.5f, 0.9f}) add(x, p, GradMode::overwrite, false);
    add(x, 0.5f, GradMode::accumulate, false);
    add(x, 0.5f, GradMode::ignore, false);
  }
  add({2048, 1, 1, 9216}, 0.5f, GradMode::overwrite, true);
});

}  // namespace
}  // namespace telltale
