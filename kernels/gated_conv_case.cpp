// The gate against its formula in double.
#include <cmath>

#include "kernels/core/op_case.h"
#include "kernels/gated_conv.h"

namespace telltale {
namespace {

double reference_act(Act act, double x) {
  switch (act) {
    case Act::relu: return x > 0 ? x : 0;
    case Act::elu: return x > 0 ? x : std::expm1(x);
    case Act::sigmoid: return 1 / (1 + std::exp(-x));
    case Act::tanh: return std::tanh(x);
    default: return x;
  }
}
double reference_slope(Act act, double x) {
  switch (act) {
    case Act::relu: return x > 0 ? 1 : 0;
    case Act::elu: return x > 0 ? 1 : std::exp(x);
    case Act::sigmoid: return reference_act(act, x) * reference_act(act, -x);
    case Act::tanh: return 1 - std::tanh(x) * std::tanh(x);
    default: return 1;
  }
}

std::string name(const Shape& y, Act act) {
  static const char* const acts[] = {"none", "relu", "elu", "sigmoid", "tanh"};
  return cat(to_string(y), " ", acts[int(act)]);
}

/// An ulp for each of activation, sigmoid and product, of numbers up to the value's range.
constexpr double kUlps = 4;

void forward(CaseRun& run, const Shape& y, Act act, double range) {
  GateArgs a{.z = run.input({y.n, y.h, y.w, 2 * y.c}, -range, range), .y = run.output(y), .act = act};
  run.op(double(a.z.bytes() + a.y.bytes()), 0, [&] { gate_forward(run.stream, a); });
  if (!run.is_test()) return;
  const std::vector<double> z = run.values(a.z);
  std::vector<double> expected(size_t(y.numel()));
  const size_t c = size_t(y.c);
  for (size_t i = 0; i < expected.size(); ++i) {
    const double value = z[i / c * 2 * c + i % c], gate = z[i / c * 2 * c + c + i % c];
    expected[i] = reference_act(act, value) / (1 + std::exp(-gate));
  }
  run.expect("y", a.y, expected, kUlps, 1e-3);
}

/// What z holds beyond y's borders is NaN, for nobody may read it.
void upsampled_forward(CaseRun& run, const Shape& y, Act act) {
  const Shape places{y.n, y.h / 2 + 1, y.w / 2 + 1, 8 * y.c};
  GateArgs a{.z = run.input(places, -4, 4), .y = run.output(y), .act = act};
  std::vector<double> expected;
  if (run.is_test()) {
    const std::vector<double> z = run.values(a.z);
    std::vector<double> read(z.size(), std::nan(""));
    expected.reserve(size_t(y.numel()));
    for (int n = 0; n < y.n; ++n)
      for (int h = 0; h < y.h; ++h)
        for (int w = 0; w < y.w; ++w)
          for (int c = 0; c < y.c; ++c) {
            const int64_t place = (int64_t(n) * places.h + (h + 1) / 2) * places.w + (w + 1) / 2;
            const size_t value = size_t(place * places.c + ((h + 1) % 2 * 2 + (w + 1) % 2) * 2 * y.c + c),
                         gate = value + size_t(y.c);
            read[value] = z[value];
            read[gate] = z[gate];
            expected.push_back(reference_act(act, z[value]) / (1 + std::exp(-z[gate])));
          }
    run.assign(a.z, read);
  }
  run.op(3.0 * double(a.y.bytes()), 0, [&] { gate_upsampled_forward(run.stream, a); });
  if (run.is_test()) run.expect("y", a.y, expected, kUlps, 1e-3);
}

void backward(CaseRun& run, const Shape& y, Act act, double range) {
  const Shape both{y.n, y.h, y.w, 2 * y.c};
  GateArgs a{.z = run.input(both, -range, range), .dy = run.input(y), .dz = run.output(both), .act = act};
  run.op(double(a.z.bytes() + a.dz.bytes() + a.dy.bytes()), 0, [&] { gate_backward(run.stream, a); });
  if (!run.is_test()) return;
  const std::vector<double> z = run.values(a.z), dy = run.values(a.dy);
  std::vector<double> expected(z.size());
  const size_t c = size_t(y.c);
  for (size_t i = 0; i < dy.size(); ++i) {
    const size_t v = i / c * 2 * c + i % c, g = v + c;
    const double open = 1 / (1 + std::exp(-z[g]));
    expected[v] = dy[i] * open * reference_slope(act, z[v]);
    expected[g] = dy[i] * reference_act(act, z[v]) * open / (1 + std::exp(z[g]));
  }
  // The slopes are differences such as 1 − tanh², so their errors are ulps of 1 times the value, whatever they leave.
  const double floor = std::max(1.0, range);
  run.expect("dz", a.dz, expected, kUlps, floor);
  GateArgs f{.z = a.z, .y = run.output(y), .act = act};
  run.gradient("dz", a.z, a.dz, f.y, a.dy, [&] { gate_forward(run.stream, f); });
  a.dz = a.z;
  gate_backward(run.stream, a);
  run.expect("dz in z's place", a.dz, expected, kUlps, floor);
}

const RegisterCases registered([](std::vector<OpCase>& to) {
  for (const Shape& y : {Shape{1, 1, 1, 1}, Shape{0, 4, 4, 8}, Shape{2, 5, 3, 7}, Shape{1, 3, 11, 24},
                         Shape{1, 9, 8, 33}, Shape{1, 31, 17, 48}}) {
    for (Act act : {Act::none, Act::relu, Act::elu, Act::sigmoid, Act::tanh}) {
      to.push_back({"gate_forward", name(y, act), kAllFloats, [=](CaseRun& run) { forward(run, y, act, 4); }});
      to.push_back({"gate_backward", name(y, act), kAllFloats, [=](CaseRun& run) { backward(run, y, act, 4); }});
    }
  }
  for (const Shape& y : {Shape{1, 2, 2, 1}, Shape{0, 4, 4, 8}, Shape{2, 6, 4, 7}, Shape{1, 2, 10, 24},
                         Shape{3, 8, 6, 33}, Shape{1, 30, 18, 48}})
    for (Act act : {Act::none, Act::elu})
      to.push_back(
          {"gate_upsampled_forward", name(y, act), kAllFloats, [=](CaseRun& run) { upsampled_forward(run, y, act); }});
  // Where exponentials leave the range of f32: nothing but 0, the value itself or −1 may come out.
  const Shape few{1, 2, 5, 9};
  to.push_back(
      {"gate_forward", name(few, Act::elu) + " far out", {DType::f32, DType::f64, DType::bf16}, [=](CaseRun& run) {
         forward(run, few, Act::elu, 300);
       }});
  to.push_back({"gate_backward", name(few, Act::elu) + " far out", {DType::f32, DType::bf16}, [=](CaseRun& run) {
                  backward(run, few, Act::elu, 300);
                }});
  // DeepFillv2 at 256×256.
  for (const Shape& y : {Shape{1, 256, 256, 48}, Shape{4, 64, 64, 192}, Shape{1, 256, 256, 24}}) {
    const std::vector<DType> types = {DType::f32, DType::bf16};
    to.push_back({"gate_forward", name(y, Act::elu), types, [=](CaseRun& r) { forward(r, r.sized(y), Act::elu, 4); },
                  true, false});
    to.push_back({"gate_backward", name(y, Act::elu), types, [=](CaseRun& r) { backward(r, r.sized(y), Act::elu, 4); },
                  true, false});
    to.push_back({"gate_upsampled_forward", name(y, Act::elu), types,
                  [=](CaseRun& r) { upsampled_forward(r, r.sized(y), Act::elu); }, true, false});
  }
});

}  // namespace
}  // namespace telltale
