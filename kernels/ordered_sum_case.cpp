// Sums in order, bit for bit: each step rounds.
#include "kernels/case/op_case.h"
#include "kernels/ordered_sum.h"

namespace telltale {
namespace {

void add_up(CaseRun& run, int count, int n, bool add) {
  const DType wide = accumulator_of(run.dtype);
  const Shape flat{1, 1, 1, n};
  // Magnitudes that differ make every other order round elsewhere.
  std::vector<double> values(size_t(count) * size_t(n));
  for (double& v : values) v = double(run.random.uniform(-1, 1)) * double(run.random.uniform(0, 1) > 0.5f ? 1e4f : 1);
  const Tensor parts = run.from({count, 1, 1, n}, run.dtype, values);
  const Tensor total = add ? run.input(flat, wide, -100, 100) : run.output(flat, wide);
  std::vector<double> sum = add ? run.values(total) : std::vector<double>(size_t(n), 0.0);
  const std::vector<double> rounded = run.values(parts);
  for (int k = 0; k < count; ++k)
    for (size_t i = 0; i < size_t(n); ++i) {
      const double more = sum[i] + rounded[size_t(k) * size_t(n) + i];
      sum[i] = run.is_f64() ? more : double(float(more));
    }
  run.op(double(parts.bytes() + total.bytes() * (add ? 2 : 1)), double(count) * n,
         [&] { ordered_sum(run.stream, parts, total, add); });
  if (run.is_test()) run.expect("total", total, sum, 0);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  for (const bool add : {false, true})
    for (const int count : {1, 2, 5})
      for (const int n : {1, 8, 67})
        to.push_back({"ordered_sum", cat("[", count, ",", n, "]", add ? " added" : ""), kAllFloats,
                      [=](CaseRun& run) { add_up(run, count, n, add); }});
  for (const DType type : {DType::f32, DType::bf16})
    to.push_back({"ordered_sum",
                  cat("[8,786432] ", name_of(type)),
                  {type},
                  [](CaseRun& run) { add_up(run, 8, 6 << 17, false); },
                  true,
                  false});
});

}  // namespace
}  // namespace telltale
