#include <cmath>

#include "kernels/attention/attention.h"
#include "kernels/attention/definition.h"
#include "kernels/case/op_case.h"

namespace telltale {
namespace {

AttentionArgs args_of(CaseRun& r, const AttentionSizes& s, double amplitude) {
  AttentionArgs a;
  a.form = s.form;
  a.x = r.input(s.x, -amplitude, amplitude);
  a.mask = r.from({s.x.n, s.x.h, s.x.w, 1}, r.dtype, mask_of(s));
  a.y = r.output(s.x);
  a.scratch = scratch_of(r, attention_scratch_bytes(r.stream, s.x, r.dtype));
  return a;
}

void check(CaseRun& r, const AttentionSizes& s) {
  AttentionArgs a = args_of(r, s, 0.5);
  const int places = s.x.h / 2 * (s.x.w / 2);
  const double flops = 2.0 * s.x.n * places * places * s.x.c * (9 + 16);  // as defined, not as computed
  r.op(2.0 * double(a.x.bytes()), flops, [&] { attention_forward(r.stream, a); });
  if (!r.is_test()) return;
  if (s.form.clamped) {  // patches of zeros, too, as relu leaves them
    std::vector<double> x = r.values(a.x);
    for (int64_t i = 0; i < a.x.shape.numel(); ++i)
      if (i / s.x.c % s.x.w < s.x.w / 2) x[size_t(i)] = 0;
    r.assign(a.x, x);
    attention_forward(r.stream, a);
  }
  const std::vector<double> expected = by_definition(s, r.values(a.x), r.values(a.mask), a.scale,
                                                     [](const AttentionDefinition& d, int64_t) { return d.forward(); });
  // A fused score sums nine matches of magnitude |p_q| = sqrt(9·C/12), each off by half an ulp or so; the softmax
  // multiplies that by the scale and at most by a·(1 − a) ≤ 1/4. 16-bit types round once, far above f32's share.
  const double score = 3 * std::sqrt(0.75 * s.x.c);
  r.expect("y", a.y, expected, size_of(r.dtype) == 2 ? 1 : a.scale * score / 4, 0.5);
}

/// One sample whose answer the published PyTorch module gave in double (csqiangwen's network_module.py).
void check_published(CaseRun& r) {
  const AttentionSizes s{{1, 6, 8, 2}, {0, 0, 2, 3}};
  AttentionArgs a = args_of(r, s, 0.5);
  std::vector<double> x;
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 8; ++j)
      for (int c = 0; c < 2; ++c) x.push_back((i * 5 + j * 3 + c * 7 + i * j) % 13 / 6.0 - 1);
  r.assign(a.x, x);
  r.op(0, 0, [&] { attention_forward(r.stream, a); });
  r.expect("y", a.y,
           {-0.208326864945254,
            0.0833257947039643,
            -0.00259192051090984,
            -0.248956764356835,
            0.0421861284039956,
            -0.207820335741358,
            -0.37588615667737,
            0.207446991577424,
            0.173889927918079,
            -0.217049456266027,
            -0.251123827187347,
            0.223148864067284,
            0.0900392544437004,
            0.18204168325946,
            0.0833333333333333,
            -0.166666666666667,
            0.106857106119448,
            0.117942868785542,
            0.108638646911971,
            -0.0430761144037929,
            -0.154644431124309,
            0.168271139744949,
            0.352181286614911,
            -0.646964599393669,
            -0.680771758950018,
            0.485327915307184,
            0.364399016543697,
            -0.221071088895234,
            -0.437439142819461,
            0.255890079105316,
            0.0833333333333334,
            -0.416666666666667,
            0.215386150181603,
            -0.284607373555237,
            -0.468539268129298,
            0.372438408621305,
            0.157207834390421,
            -0.328677896766613,
            -0.354495853325356,
            0.178401063951606,
            0.161230558605608,
            -0.279259283002328,
            0.0835346410066088,
            -0.175604056182,
            -0.29177507587456,
            0.0417750766152974,
            -1.32886553172829e-69,
            -0.5,
            0.0739238200057459,
            0.115590488124423,
            0.235363116044895,
            -0.704216802498651,
            -0.691682429296858,
            0.394663655225626,
            0.276854938573799,
            -0.722461407223598,
            -0.722752569068218,
            0.443445159216233,
            0.166542742639519,
            -0.833356433256116,
            0.708369470970527,
            0.249783177139787,
            -0.0833333333333333,
            0.5,
            0.0416666666796405,
            -0.208333333339846,
            -0.416666666673282,
            0.166666666682897,
            0.166666666666667,
            -0.333333333333333,
            -0.333271455990662,
            0.249945877475717,
            0.24988911627716,
            -0.249958748438219,
            -0.375015509636776,
            0.499868490496269,
            0.5,
            -0.25,
            -0.166666666666667,
            0.416666666666667,
            0.25,
            1.94153121540101e-80,
            0.0833333333333334,
            -0.416666666666667,
            -0.333333333333333,
            0.25,
            0.333333333333333,
            -0.166666666666667,
            -0.0833333333333333,
            0.5,
            -0.5,
            0.0833333333333334,
            0.166666666666667,
            -0.333333333333333,
            -0.125,
            0.166666666666667},
           40, 0.5);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const std::vector<AttentionSizes> bench_sizes = {{{1, 64, 64, 192}, {16, 16, 40, 40}},
                                                   {{1, 128, 128, 192}, {32, 32, 80, 80}}};
  for (const AttentionSizes& s : kAwkwardSizes)
    to.push_back({"attention", s.name(), kAllFloats, [s](CaseRun& r) { check(r, s); }, false, true});
  for (const AttentionSizes& s : bench_sizes)
    to.push_back({"attention", s.name(), kAllFloats,
                  [s](CaseRun& r) {
                    AttentionSizes sized = s;  // on a GPU as many as the net paints at once
                    sized.x = r.batched(s.x, 16);
                    check(r, sized);
                  },
                  true, false});
  to.push_back({"attention", "as published", {DType::f32, DType::f64}, check_published, false, true});
});

}  // namespace
}  // namespace telltale
