// Sums against double, with sizes that fill less than a chunk, a block, and more than one of either.
#include <cmath>
#include <limits>

#include "kernels/case/op_case.h"
#include "kernels/reduce.h"

namespace telltale {
namespace {

/// A sum of n numbers in [-1, 1) grows to √n, and its roundings, each half an ulp of that, to √n more of them at most;
/// most partial sums are far shorter.
double floor_of(int64_t terms) { return std::max(1.0, std::sqrt(double(terms))); }

void columns(CaseRun& run, Shape shape, GradMode mode) {
  const Shape v{1, 1, 1, shape.c};
  const DType acc = accumulator_of(run.dtype);
  const Tensor x = run.input(shape);
  const Tensor y = mode == GradMode::overwrite ? run.output(v, acc) : run.input(v, acc, -1, 1);
  const std::vector<double> before = run.is_test() ? run.values(y) : std::vector<double>();
  run.op(double(x.bytes()), double(shape.numel()), [&] { column_sums(run.stream, x, y, mode); });
  if (!run.is_test()) return;
  const std::vector<double> in = run.values(x);
  std::vector<long double> want(before.begin(), before.end());  // longer than any result under test
  if (mode == GradMode::overwrite) std::fill(want.begin(), want.end(), 0.0L);
  for (size_t i = 0; i < in.size() && mode != GradMode::ignore; ++i) want[i % size_t(shape.c)] += in[i];
  run.expect("y", y, {want.begin(), want.end()}, mode == GradMode::ignore ? 0 : 8, floor_of(shape.rows()));
}

void finite(CaseRun& run, Shape shape, double bad) {
  const Tensor x = run.input(shape);
  OwnedTensor memory(run.stream.place(), {1, 1, 1, int(sizeof(StepState))}, DType::u8);
  auto* state = static_cast<StepState*>(memory.tensor.data);
  StepState host{.step = 7, .seed = 9};
  const auto overflow_after = [&](uint32_t before) {
    host.overflow = before;
    upload(run.stream, memory, &host);
    finite_check(run.stream, x, state);
    run.stream.sync();
    StepState after;
    download(run.stream, &after, memory);
    run.require("only overflow changes", after.step == 7 && after.seed == 9);
    return after.overflow;
  };
  upload(run.stream, memory, &host);
  run.op(double(x.bytes()), double(shape.numel()), [&] { finite_check(run.stream, x, state); });
  if (!run.is_test()) return;
  run.require("finite numbers leave overflow clear", overflow_after(0) == 0);
  run.require("a set overflow stays set", overflow_after(1) == 1);
  const std::vector<double> good = run.values(x);
  for (const size_t at : {size_t(0), good.size() / 2, good.size() - 1}) {
    std::vector<double> v = good;
    v[at] = bad;
    run.assign(x, v);
    run.require(cat(bad, " at ", at, " of ", good.size(), " sets overflow"), overflow_after(0) == 1);
  }
  std::vector<double> largest(good.size(), run.dtype == DType::f16 ? 65504 : 3e38);
  run.assign(x, largest);
  run.require("the largest numbers are finite", overflow_after(0) == 0);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const Shape shapes[] = {{1, 1, 1, 1},   {1, 1, 1, 17},   {2, 3, 5, 3},   {1, 31, 37, 1}, {3, 7, 5, 17},
                          {2, 9, 11, 64}, {4, 33, 35, 24}, {1, 7, 7, 600}, {1, 1, 1, 4099}};
  for (const Shape& x : shapes) {
    for (const GradMode mode : {GradMode::overwrite, GradMode::accumulate, GradMode::ignore}) {
      static const char* const modes[] = {" ignore", "", " accumulate"};
      to.push_back(
          {"column_sums", to_string(x) + modes[int(mode)], kAllFloats, [=](CaseRun& run) { columns(run, x, mode); }});
    }
    for (const double bad : {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
      to.push_back(
          {"finite_check", cat(to_string(x), " ", bad), kAllFloats, [=](CaseRun& run) { finite(run, x, bad); }});
    }
  }
  const Shape big{24, 112, 112, 64};
  const std::vector<DType> types = {DType::f32, DType::bf16};
  to.push_back({"column_sums", to_string(big), types,
                [=](CaseRun& run) { columns(run, run.sized(big), GradMode::overwrite); }, true, false});
  to.push_back(
      {"finite_check", to_string(big), types, [=](CaseRun& run) { finite(run, run.sized(big), 0); }, true, false});
});

}  // namespace
}  // namespace telltale
