// The gate, and the convolution with it, against their formulas in double.
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/conv/gated.h"
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
double reference_gradient(Act act, double x) {
  switch (act) {
    case Act::relu: return x > 0 ? 1 : 0;
    case Act::elu: return x > 0 ? 1 : std::exp(x);
    case Act::sigmoid: return reference_act(act, x) * reference_act(act, -x);
    case Act::tanh: return 1 - std::tanh(x) * std::tanh(x);
    default: return 1;
  }
}

constexpr const char* kActs[] = {"none", "relu", "elu", "sigmoid", "tanh"};

std::string name(const Shape& y, Act act) { return cat(to_string(y), " ", kActs[int(act)]); }

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
    expected[v] = dy[i] * open * reference_gradient(act, z[v]);
    expected[g] = dy[i] * reference_act(act, z[v]) * open / (1 + std::exp(z[g]));
  }
  // The gradients are differences such as 1 − tanh², so their errors are ulps of 1 times the value, whatever they
  // leave.
  const double floor = std::max(1.0, range);
  run.expect("dz", a.dz, expected, kUlps, floor);
  GateArgs f{.z = a.z, .y = run.output(y), .act = act};
  run.gradient("dz", a.z, a.dz, f.y, a.dy, [&] { gate_forward(run.stream, f); });
  a.dz = a.z;
  gate_backward(run.stream, a);
  run.expect("dz in z's place", a.dz, expected, kUlps, floor);
}

struct Setting {
  Shape x;
  int channels, rows, columns;
  ConvGeometry geometry;
  Act act;
  Shape filter() const { return {2 * channels, rows, columns, x.c}; }
  Shape z() const { return conv_output(x, filter(), geometry); }
  std::string name() const {
    return cat(to_string(x), "x", to_string(filter()), " s", geometry.stride, "p", geometry.pad, "+", geometry.more_pad,
               "d", geometry.dilation, " ", kActs[int(act)]);
  }
};

/// conv(x, w) + bias by its sum.
std::vector<double> reference_conv(const Setting& g, const std::vector<double>& x, const std::vector<double>& w,
                                   const std::vector<double>& bias) {
  const Shape z = g.z();
  std::vector<double> sums;
  sums.reserve(size_t(z.numel()));
  for (int n = 0; n < z.n; ++n)
    for (int h = 0; h < z.h; ++h)
      for (int v = 0; v < z.w; ++v)
        for (int k = 0; k < z.c; ++k) {
          double sum = bias[size_t(k)];
          for (int r = 0; r < g.rows; ++r)
            for (int q = 0; q < g.columns; ++q) {
              const int row = h * g.geometry.stride + r * g.geometry.dilation - g.geometry.pad;
              const int column = v * g.geometry.stride + q * g.geometry.dilation - g.geometry.pad;
              if (row < 0 || column < 0 || row >= g.x.h || column >= g.x.w) continue;
              const size_t i = size_t(((int64_t(n) * g.x.h + row) * g.x.w + column) * g.x.c);
              const size_t j = size_t(((int64_t(k) * g.rows + r) * g.columns + q) * g.x.c);
              for (size_t c = 0; c < size_t(g.x.c); ++c) sum += x[i + c] * w[j + c];
            }
          sums.push_back(sum);
        }
  return sums;
}

/// Weights that leave z at about 1, and nowhere far above 4, whatever the filter's size.
void gated_conv(CaseRun& run, const Setting& g) {
  const double terms = double(g.rows) * g.columns * g.x.c;
  const Shape z = g.z();
  GatedConvArgs a{.x = run.input(g.x), .w = run.input(g.filter(), -2 / std::sqrt(terms), 2 / std::sqrt(terms))};
  a.bias = run.input({1, 1, 1, z.c}, accumulator_of(run.dtype), -1, 1);
  a.z = run.output(z);
  a.y = run.output({z.n, z.h, z.w, g.channels});
  a.geometry = g.geometry;
  a.act = g.act;
  GatedConvArgs fast = a;  // as inference runs it: from the packed filter, where the device has one
  const ConvArgs conv{.x = a.x, .w = a.w, .bias = a.bias, .y = a.z, .geometry = a.geometry};
  const OwnedTensor packed(run.stream.place(), {1, 1, 1, int(conv_packed_bytes(run.stream, conv))}, DType::u8);
  if (packed.tensor.bytes() > 0) {
    conv_pack(run.stream, conv, packed);
    fast.packed = packed;
    fast.w.data = nullptr;
  }
  run.op(double(a.x.bytes() + a.w.bytes() + 3 * a.y.bytes()), 2.0 * double(z.numel()) * terms,
         [&] { gated_conv_forward(run.stream, fast); });
  if (!run.is_test()) return;
  const std::vector<double> sums = reference_conv(g, run.values(a.x), run.values(a.w), run.values(a.bias));
  std::vector<double> expected(size_t(a.y.shape.numel()));
  const size_t c = size_t(g.channels);
  for (size_t i = 0; i < expected.size(); ++i) {
    const size_t at = i / c * 2 * c + i % c;
    expected[i] = reference_act(g.act, sums[at]) / (1 + std::exp(-sums[at + c]));
  }
  // Value and gate each err by half an ulp of up to 4 in 16 bits, else by what conv_case.cpp allows a sum, Winograd's
  // included; a gate passes on at most its value's quarter of that.
  const bool is_16_bit = size_of(run.dtype) == 2;
  const double ulps = kUlps + 2 * (is_16_bit ? 2 : 2 * (2 + 2 * std::sqrt(terms)));
  run.expect("y", a.y, expected, ulps);
  a.y = run.output(a.y.shape);
  gated_conv_forward(run.stream, a);
  run.expect("y of a filter not packed", a.y, expected, ulps);
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
  for (const Setting& g :
       {Setting{{1, 1, 1, 1}, 1, 1, 1, {}, Act::elu}, Setting{{0, 4, 4, 8}, 8, 3, 3, {1, 1, 1}, Act::elu},
        Setting{{2, 9, 7, 5}, 24, 5, 5, {1, 2, 1}, Act::elu}, Setting{{1, 8, 6, 7}, 3, 3, 3, {1, 1, 1}, Act::none},
        Setting{{2, 12, 10, 16}, 16, 3, 3, {2, 0, 1, 1}, Act::relu},
        Setting{{1, 13, 11, 24}, 40, 3, 3, {1, 4, 4}, Act::elu}, Setting{{1, 7, 9, 8}, 12, 3, 3, {1, 1, 1}, Act::tanh},
        Setting{{1, 13, 11, 24}, 48, 3, 3, {1, 1, 1}, Act::elu}, Setting{{2, 9, 7, 5}, 16, 5, 5, {1, 2, 1}, Act::elu},
        Setting{{1, 9, 8, 16}, 32, 3, 3, {2, 0, 1, 1}, Act::elu}})
    to.push_back({"gated_conv_forward", g.name(), kAllFloats, [=](CaseRun& run) { gated_conv(run, g); }});
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
  for (const Setting& g : {Setting{{1, 64, 64, 192}, 192, 3, 3, {1, 1, 1}, Act::elu},
                           Setting{{1, 128, 128, 96}, 96, 3, 3, {1, 1, 1}, Act::elu}}) {
    const auto batched = [=](CaseRun& run) {
      Setting many = g;
      many.x = run.batched(g.x, 32);
      gated_conv(run, many);
    };
    to.push_back({"gated_conv_forward", g.name(), {DType::f32, DType::bf16, DType::f16}, batched, true, false});
  }
});

}  // namespace
}  // namespace telltale
