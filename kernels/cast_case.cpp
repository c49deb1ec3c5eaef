// Casts bit for bit.
#include <cmath>
#include <limits>

#include "kernels/case/op_case.h"
#include "kernels/cast.h"
#include "kernels/device/half.h"

namespace telltale {
namespace {

using Vec = std::vector<double>;

/// v rounded to a type, by the types of core/half.h, whose own test is against all 65536 values.
double rounded(DType t, double v) {
  switch (t) {
    case DType::bf16: return float(bf16(float(v)));
    case DType::f16: return float(f16(float(v)));
    case DType::f32: return float(v);
    default: return v;
  }
}

void convert(CaseRun& run, int count, DType type) {
  const Shape flat{1, 1, 1, count};
  const Tensor from = run.input(flat, -100, 100), to = run.output(flat, type);
  run.op(double(from.bytes() + to.bytes()), 0, [&] { cast(run.stream, from, to); });
  if (!run.is_test()) return;
  const auto check = [&](const char* what) {
    Vec want = run.values(from);
    for (double& v : want) v = rounded(type, v);
    run.expect(cat(what, " to ", name_of(type)), to, want, 0);
  };
  check("numbers");
  const double odd[] = {0,       -0.0,       INFINITY,       -INFINITY,   std::numeric_limits<double>::quiet_NaN(),
                        65504,   65519.99,   65520,          1e-8,        6e-8,
                        -6.2e-5, 1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1p-11, 3.4e38,
                        1e-40};
  Vec v(static_cast<size_t>(count));
  for (size_t i = 0; i < v.size(); ++i) v[i] = odd[i % std::size(odd)];
  run.assign(from, v);
  cast(run.stream, from, to);
  check("odd numbers");
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  for (const DType type : kAllFloats) {
    for (const int count : {1, 7, 8, 1009}) {
      to.push_back({"cast", cat("[", count, "] to ", name_of(type)), kAllFloats,
                    [=](CaseRun& run) { convert(run, count, type); }});
    }
  }
  to.push_back({"cast",
                "[16777216] f32 to bf16",
                {DType::f32},
                [](CaseRun& run) {
                  convert(run, run.sized({1, 1, 1, 1 << 24}).n << 24, DType::bf16);
                },
                true,
                false});
  to.push_back({"cast",
                "[16777216] bf16 to f32",
                {DType::bf16},
                [](CaseRun& run) {
                  convert(run, run.sized({1, 1, 1, 1 << 24}).n << 24, DType::f32);
                },
                true,
                false});
});

}  // namespace
}  // namespace telltale
