// Element-wise ops against their formulas in double, also in place and accumulating.
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/parts/math.h"
#include "kernels/pointwise.h"

namespace telltale {
namespace {

using Vec = std::vector<double>;
const char* const kActs[] = {" none", " relu", " elu", " sigmoid", " tanh"};
const char* const kModes[] = {" ignore", "", " accumulate"};

/// What a gradient must hold after a backward that computed `fresh`.
Vec after(GradMode mode, const Vec& before, Vec fresh) {
  if (mode == GradMode::ignore) return before;
  for (size_t i = 0; i < fresh.size() && mode == GradMode::accumulate; ++i) fresh[i] += before[i];
  return fresh;
}
double allowed(CaseRun& run, GradMode mode) {
  return mode == GradMode::ignore ? 0 : size_of(run.dtype) == 2 ? 1 : 4;  // one rounding; libm's few ulps
}
/// A gradient to be written, or with something in it to be kept or added to.
Tensor gradient(CaseRun& run, Shape shape, GradMode mode) {
  return mode == GradMode::overwrite ? run.output(shape) : run.input(shape);
}

double act_of(Act act, double x) {  // written apart from core/math.h, which it judges
  switch (act) {
    case Act::relu: return std::max(x, 0.0);
    case Act::elu: return x > 0 ? x : std::exp(x) - 1;
    case Act::sigmoid: return 1 / (1 + std::exp(-x));
    case Act::tanh: return 2 / (1 + std::exp(-2 * x)) - 1;
    default: return x;
  }
}

void activation(CaseRun& run, Shape shape, Act act) {
  const Tensor x = run.input(shape, -4, 4), y = run.output(shape);
  run.op(2 * double(x.bytes()), double(shape.numel()), [&] { activation_forward(run.stream, x, y, act); });
  if (!run.is_test()) return;
  Vec want = run.values(x);
  for (double& v : want) v = act_of(act, v);
  run.expect("y", y, want, allowed(run, GradMode::overwrite));
  activation_forward(run.stream, x, x, act);
  run.expect("y in the place of x", x, want, allowed(run, GradMode::overwrite));

  const Tensor far = run.from({1, 1, 1, 6}, run.dtype, {-1e4, -100, -0.0, 0, 100, 1e4}),
               far_y = run.output({1, 1, 1, 6});
  activation_forward(run.stream, far, far_y, act);
  Vec ends = run.values(far);
  for (double& v : ends) v = act_of(act, v);
  run.expect("y far from 0", far_y, ends, 1);
}

void activation_gradient(CaseRun& run, Shape shape, Act act, GradMode mode) {
  const Tensor x = run.input(shape, -3, 3), y = run.output(shape), dy = run.input(shape);
  const auto forward = [&] { activation_forward(run.stream, x, y, act); };
  forward();
  const Tensor dx = gradient(run, shape, mode);
  const Vec before = run.is_test() ? run.values(dx) : Vec();
  run.op(3 * double(x.bytes()), 2.0 * double(shape.numel()),
         [&] { activation_backward(run.stream, y, dy, dx, act, mode); });
  if (!run.is_test()) return;
  const Vec out = run.values(y);
  Vec fresh = run.values(dy);
  for (size_t i = 0; i < fresh.size(); ++i) {
    const double v = out[i];
    fresh[i] *= act == Act::relu      ? (v > 0 ? 1 : 0)
                : act == Act::elu     ? (v > 0 ? 1 : v + 1)
                : act == Act::sigmoid ? v * (1 - v)
                : act == Act::tanh    ? 1 - v * v
                                      : 1;
  }
  run.expect("dx", dx, after(mode, before, fresh), allowed(run, mode));
  if (mode != GradMode::overwrite) return;
  run.gradient("dx", x, dx, y, dy, forward);
  activation_backward(run.stream, y, dy, dy, act);
  run.expect("dx in the place of dy", dy, fresh, allowed(run, mode));
}

void add(CaseRun& run, Shape shape, Act act) {
  const Tensor a = run.input(shape), b = run.input(shape), y = run.output(shape);
  run.op(3 * double(a.bytes()), double(shape.numel()), [&] { add_forward(run.stream, a, b, y, act); });
  if (!run.is_test()) return;
  Vec want = run.values(a);
  const Vec other = run.values(b);
  for (size_t i = 0; i < want.size(); ++i) want[i] = act_of(act, want[i] + other[i]);
  run.expect("y", y, want, allowed(run, GradMode::overwrite));
  add_forward(run.stream, a, b, b, act);
  run.expect("y in the place of b", b, want, allowed(run, GradMode::overwrite));
  add_forward(run.stream, a, run.from(shape, run.dtype, other), a, act);
  run.expect("y in the place of a", a, want, allowed(run, GradMode::overwrite));
}

void gradient_sum(CaseRun& run, Shape shape, DType type, GradMode mode) {
  const Tensor from = run.input(shape);
  const Tensor to = mode == GradMode::overwrite ? run.output(shape, type) : run.input(shape, type, -1, 1);
  const Vec before = run.is_test() ? run.values(to) : Vec();
  run.op(double(from.bytes() + to.bytes()), double(shape.numel()), [&] { add_gradient(run.stream, from, to, mode); });
  if (!run.is_test()) return;
  run.expect(cat("to ", name_of(type)), to, after(mode, before, run.values(from)), mode == GradMode::ignore ? 0 : 1);
}

void blend(CaseRun& run, Shape shape, GradMode mode) {
  const Shape spread{shape.n, shape.h, shape.w, 1};
  BlendArgs a;
  a.a = run.input(shape);
  a.b = run.input(shape);
  a.m = run.input(spread, 0, 1);
  a.y = run.output(shape);
  a.dy = run.input(shape);
  a.da = gradient(run, shape, mode);
  a.db = gradient(run, shape, mode);
  a.da_mode = a.db_mode = mode;
  const auto forward = [&] { blend_forward(run.stream, a); };
  const Vec da0 = run.is_test() ? run.values(a.da) : Vec(), db0 = run.is_test() ? run.values(a.db) : Vec();
  run.op(6 * double(a.a.bytes()) + 2 * double(a.m.bytes()), 5.0 * double(shape.numel()), [&] {
    forward();
    blend_backward(run.stream, a);
  });
  if (!run.is_test()) return;
  const Vec first = run.values(a.a), second = run.values(a.b), mask = run.values(a.m), dy = run.values(a.dy);
  Vec y(first.size()), da(first.size()), db(first.size());
  for (size_t i = 0; i < y.size(); ++i) {
    const double m = mask[i / size_t(shape.c)];
    y[i] = first[i] * (1 - m) + second[i] * m;
    da[i] = dy[i] * (1 - m);
    db[i] = dy[i] * m;
  }
  run.expect("y", a.y, y, allowed(run, GradMode::overwrite));
  run.expect("da", a.da, after(mode, da0, da), allowed(run, mode));
  run.expect("db", a.db, after(mode, db0, db), allowed(run, mode));
  if (mode != GradMode::overwrite) return;
  run.gradient("da", a.a, a.da, a.y, a.dy, forward);
  run.gradient("db", a.b, a.db, a.y, a.dy, forward);
  run.assign(a.m, Vec(mask.size(), 0));
  forward();
  run.expect("y under an empty mask is a", a.y, first, 0);
  run.assign(a.m, Vec(mask.size(), 1));
  forward();
  run.expect("y under a full mask is b", a.y, second, 0);
  a.da = {};
  a.db = run.output(shape);
  blend_backward(run.stream, a);
  run.expect("db alone", a.db, dy, 0);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const Shape shapes[] = {{1, 1, 1, 1}, {2, 3, 5, 3}, {1, 7, 11, 17}, {2, 5, 3, 64}};
  const auto push = [&](const char* op, const Shape& x, const char* what, auto run) {
    to.push_back({op, to_string(x) + what, kAllFloats, run});
  };
  for (const Shape& x : shapes) {
    for (const Act act : {Act::none, Act::relu, Act::elu, Act::sigmoid, Act::tanh}) {
      push("activation_forward", x, kActs[int(act)], [=](CaseRun& run) { activation(run, x, act); });
      push("add", x, kActs[int(act)], [=](CaseRun& run) { add(run, x, act); });
      for (const GradMode mode : {GradMode::ignore, GradMode::overwrite, GradMode::accumulate}) {
        push("activation_backward", x, cat(kActs[int(act)], kModes[int(mode)]).c_str(),
             [=](CaseRun& run) { activation_gradient(run, x, act, mode); });
      }
    }
    for (const GradMode mode : {GradMode::ignore, GradMode::overwrite, GradMode::accumulate}) {
      push("blend", x, kModes[int(mode)], [=](CaseRun& run) { blend(run, x, mode); });
      for (const DType type : kAllFloats) {
        push("add_gradient", x, cat(" to ", name_of(type), kModes[int(mode)]).c_str(),
             [=](CaseRun& run) { gradient_sum(run, x, type, mode); });
      }
    }
  }
  const Shape big{24, 112, 112, 64};
  const std::vector<DType> types = {DType::f32, DType::bf16};
  const auto bench = [&](const char* op, const char* what, auto run) {
    to.push_back({op, to_string(big) + what, types, run, true, false});
  };
  for (const Act act : {Act::relu, Act::elu}) {
    bench("activation_forward", kActs[int(act)], [=](CaseRun& run) { activation(run, run.sized(big), act); });
    bench("activation_backward", kActs[int(act)],
          [=](CaseRun& run) { activation_gradient(run, run.sized(big), act, GradMode::overwrite); });
  }
  bench("add", " relu", [=](CaseRun& run) { add(run, run.sized(big), Act::relu); });
  bench("add_gradient", " accumulate",
        [=](CaseRun& run) { gradient_sum(run, run.sized(big), run.dtype, GradMode::accumulate); });
  bench("blend", "", [=](CaseRun& run) { blend(run, run.sized(big), GradMode::overwrite); });
});

}  // namespace
}  // namespace telltale
