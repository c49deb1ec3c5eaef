// Statistics that ranks moved from the same start, against passes one after another.
#include "kernels/case/op_case.h"
#include "kernels/ranked_statistics.h"

namespace telltale {
namespace {

Tensor indices(const Buffer& memory, Stream& s, const std::vector<int32_t>& values) {
  const Tensor t = memory.view({1, 1, 1, int(values.size())}, DType::i32);
  upload(s, t, values.data());
  return t;
}

void combine(CaseRun& run, int ranks, int active, int n) {
  // Every third number of `all` is a statistic; they are listed from the last to the first.
  std::vector<int32_t> where(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) where[size_t(i)] = 3 * (n - 1 - i);
  const Buffer place_memory(run.stream.place(), where.size() * sizeof(int32_t));
  const Tensor places = indices(place_memory, run.stream, where);
  const Tensor all = run.input({1, 1, 1, 3 * n}), before = run.output({1, 1, 1, n});
  run.op(2.0 * double(before.bytes()), 0, [&] { collect(run.stream, all, places, before); });
  const std::vector<double> start = run.values(all), first = run.values(before);
  std::vector<double> want(first.size()), kept(first.size()), moved(first.size() * size_t(ranks));
  for (size_t i = 0; i < want.size(); ++i) {
    want[i] = start[size_t(where[i])];
    kept[i] = i % 4 == 3 ? 1 : 0.75;
  }
  if (run.is_test()) run.expect("collected", before, want, 0);
  for (size_t r = 0; r < size_t(ranks); ++r)
    for (size_t i = 0; i < want.size(); ++i) {
      const double of_pass = run.random.uniform(-1, 1);
      moved[r * want.size() + i] = kept[i] * first[i] + of_pass;
      if (int(r) < active) want[i] = kept[i] * want[i] + of_pass;
    }
  const Tensor reached = run.from({ranks, 1, 1, n}, run.dtype, moved), share = run.from({1, 1, 1, n}, DType::f64, kept);
  combine_statistics(run.stream, reached, active, before, share, places, all);
  if (!run.is_test()) return;
  std::vector<double> expected = start;
  for (size_t i = 0; i < want.size(); ++i) expected[size_t(where[i])] = want[i];
  run.expect("combined", all, expected, 4);  // what the ranks reached is rounded, each once
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  for (const int n : {1, 65})
    for (const auto& [ranks, active] : {std::pair(1, 1), {4, 4}, {4, 3}})
      to.push_back({"combine_statistics",
                    cat("[", n, "] of ", active, " of ", ranks, " ranks"),
                    {DType::f32, DType::f64},
                    [ranks = ranks, active = active, n](CaseRun& run) { combine(run, ranks, active, n); }});
});

}  // namespace
}  // namespace telltale
