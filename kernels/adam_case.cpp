// Adam against PyTorch's formula in double over several steps, with a skipped one among them.
#include <cmath>

#include "kernels/adam.h"
#include "kernels/case/op_case.h"

namespace telltale {
namespace {

using Vec = std::vector<double>;

/// `shadow` f32: none.
void run_case(CaseRun& run, int count, double weight_decay, DType shadow) {
  const Shape flat{1, 1, 1, count};
  AdamArgs a;
  a.master = run.input(flat);
  a.m = run.from(flat, run.dtype, Vec(size_t(count), 0));
  a.v = run.from(flat, run.dtype, Vec(size_t(count), 0));
  a.grad = run.input(flat);
  if (shadow != DType::f32 && !run.is_f64()) a.shadow = run.output(flat, shadow);
  a.count = count;
  a.weight_decay = weight_decay;
  const OwnedTensor memory(run.stream.place(), {1, 1, 1, int(sizeof(StepState))}, DType::u8);
  a.state = static_cast<const StepState*>(memory.tensor.data);
  StepState host{.step = 1, .lr = 1e-3f, .loss_scale = 8};
  upload(run.stream, memory, &host);
  if (!run.is_test()) {
    return run.op(double(7 * a.master.bytes() + a.shadow.bytes()), 14.0 * count, [&] { adam(run.stream, a); });
  }

  Vec w = run.values(a.master), m(w.size(), 0), v(w.size(), 0);
  for (int step = 1; step <= 5; ++step) {
    host.step = step;
    host.lr = 1e-3f * float(step);
    host.overflow = step == 3;
    upload(run.stream, memory, &host);
    Vec g = run.values(run.input(flat));
    g[0] = 0;  // a parameter that never had a gradient must not divide by 0
    run.assign(a.grad, g);
    adam(run.stream, a);
    for (size_t i = 0; i < w.size() && !host.overflow; ++i) {
      const double gradient = g[i] / 8 + weight_decay * w[i];
      m[i] = 0.9 * m[i] + 0.1 * gradient;
      v[i] = 0.999 * v[i] + 0.001 * gradient * gradient;
      const double mean = m[i] / (1 - std::pow(0.9, step));
      w[i] -= double(host.lr) * mean / (std::sqrt(v[i]) / std::sqrt(1 - std::pow(0.999, step)) + 1e-8);
    }
    run.expect(cat("w of step ", step), a.master, w, 4);
    run.expect(cat("m of step ", step), a.m, m, 4, 0.1);
    run.expect(cat("v of step ", step), a.v, v, 8, 1e-4);
    if (a.shadow) {
      // The shadow must be the master rounded, bit for bit.
      const Vec master = run.values(a.master);
      Vec rounded(master.size());
      for (size_t i = 0; i < master.size(); ++i)
        rounded[i] =
            shadow == DType::bf16 ? double(float(bf16(float(master[i])))) : double(float(f16(float(master[i]))));
      run.expect(cat("shadow of step ", step), a.shadow, rounded, 0);
    }
  }
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  for (const int count : {1, 7, 8, 1009}) {
    for (const double decay : {0.0, 0.01}) {
      for (const DType shadow : {DType::f32, DType::bf16, DType::f16}) {
        to.push_back({"adam",
                      cat("[", count, "] decay ", decay, " shadow ", name_of(shadow)),
                      {DType::f32, DType::f64},
                      [=](CaseRun& run) { run_case(run, count, decay, shadow); }});
      }
    }
  }
  for (const DType shadow : {DType::f32, DType::bf16}) {
    to.push_back({"adam",
                  cat("[16777216] shadow ", name_of(shadow)),
                  {DType::f32},
                  [=](CaseRun& run) {
                    run_case(run, run.sized({1, 1, 1, 1 << 24}).n << 24, 0, shadow);
                  },
                  true,
                  false});
  }
});

}  // namespace
}  // namespace telltale
