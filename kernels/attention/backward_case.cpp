#include <cmath>

#include "kernels/attention/attention.h"
#include "kernels/attention/definition.h"
#include "kernels/case/op_case.h"

namespace telltale {
namespace {

void check(CaseRun& r, const AttentionSizes& s) {
  AttentionGradArgs a;
  a.form = s.form;
  a.x = r.input(s.x, -0.5, 0.5);
  a.mask = r.from({s.x.n, s.x.h, s.x.w, 1}, r.dtype, mask_of(s));
  a.dy = r.input(s.x);
  a.dx = r.output(s.x);
  a.scratch = scratch_of(r, attention_backward_scratch_bytes(r.stream, s.x, r.dtype));
  const int places = s.x.h / 2 * (s.x.w / 2);
  const double flops = 2.0 * s.x.n * places * places * s.x.c * 11;  // products of L×L×C, as computed
  r.op(3.0 * double(a.x.bytes()), flops, [&] { attention_backward(r.stream, a); });
  if (!r.is_test()) return;
  const std::vector<double> dy = r.values(a.dy);
  std::vector<double> expected =
      by_definition(s, r.values(a.x), r.values(a.mask), a.scale,
                    [&](const AttentionDefinition& d, int64_t first) { return d.backward(dy.data() + first); });
  // Forward's score is off by about sqrt(9·C/12)·3 half ulps, and the softmax multiplies that by its scale; its
  // gradient, which carries that error, is multiplied by the scale once more and summed over nine neighbours in both
  // fuses. An error of 16-bit types is their one rounding.
  double largest = 0;
  for (double e : expected) largest = std::max(largest, std::abs(e));
  const double score = 3 * std::sqrt(0.75 * s.x.c);
  const double ulps = size_of(r.dtype) == 2 ? 1 : a.scale * score;
  r.expect("dx", a.dx, expected, ulps, largest);
  AttentionArgs f{.x = a.x, .mask = a.mask, .y = r.output(s.x), .scratch = {}, .form = s.form};
  f.scratch = scratch_of(r, attention_scratch_bytes(r.stream, s.x, r.dtype));
  r.gradient("dx", a.x, a.dx, f.y, a.dy, [&] { attention_forward(r.stream, f); });
  const std::vector<double> before = r.values(a.dx);
  a.dx_mode = GradMode::accumulate;
  attention_backward(r.stream, a);
  for (size_t i = 0; i < expected.size(); ++i) expected[i] += before[i];
  r.expect("dx added to", a.dx, expected, size_of(r.dtype) == 2 ? 2 : ulps, largest);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const std::vector<AttentionSizes> bench_sizes = {{{1, 64, 64, 192}, {16, 16, 40, 40}},
                                                   {{8, 32, 32, 64}, {8, 8, 20, 20}}};
  for (const AttentionSizes& s : kAwkwardSizes)
    to.push_back({"attention_backward", s.name(), kAllFloats, [s](CaseRun& r) { check(r, s); }, false, true});
  for (const AttentionSizes& s : bench_sizes)
    to.push_back({"attention_backward", s.name(), kAllFloats,
                  [s](CaseRun& r) {
                    AttentionSizes sized = s;  // on a GPU as many as the net paints at once
                    sized.x = r.batched(s.x, 16);
                    check(r, sized);
                  },
                  true, false});
});

}  // namespace
}  // namespace telltale
