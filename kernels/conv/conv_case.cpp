// Convolutions against a naive double loop that scatters tap by tap, so that it shares no code with what it judges.
#include <algorithm>
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/conv/conv.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

struct Setting {
  Shape x;
  int out, rows, columns;
  ConvGeometry geometry;
  bool bias = false, residual = false;
  Act act = Act::none;
  /// Where the host multiplies Winograd's transformed tiles (never in f64), as conv_plan_build.cpp decides.
  enum class Winograd : uint8_t { nowhere, packed, everywhere } winograd = Winograd::nowhere;
  Shape filter() const { return {out, rows, columns, x.c}; }
  Shape y() const { return conv_output(x, filter(), geometry); }
  double flops() const { return 2.0 * double(y().numel()) * rows * columns * x.c; }
  std::string name() const {
    static const char* const acts[] = {"", " relu", " elu", " sigmoid", " tanh"};
    return cat(to_string(x), "x", to_string(filter()), " s", geometry.stride, "p", geometry.pad,
               geometry.more_pad ? cat("+", geometry.more_pad) : "", "d", geometry.dilation, bias ? " bias" : "",
               residual ? " residual" : "", acts[int(act)]);
  }
};

/// Calls f(index in x, index in w, index in y) for every product the convolution sums.
template <class F>
void for_each_product(const Setting& z, const F& f) {
  const Shape x = z.x, w = z.filter(), y = z.y();
  const auto at = [](const Shape& s, int n, int h, int v, int c) {
    return size_t(((int64_t(n) * s.h + h) * s.w + v) * s.c + c);
  };
  for (int k = 0; k < w.n; ++k) {
    for (int r = 0; r < w.h; ++r) {
      for (int s = 0; s < w.w; ++s) {
        for (int n = 0; n < y.n; ++n) {
          for (int h = 0; h < y.h; ++h) {
            const int row = h * z.geometry.stride + r * z.geometry.dilation - z.geometry.pad;
            for (int v = 0; v < y.w; ++v) {
              const int column = v * z.geometry.stride + s * z.geometry.dilation - z.geometry.pad;
              if (row < 0 || column < 0 || row >= x.h || column >= x.w) continue;
              for (int c = 0; c < w.c; ++c) f(at(x, n, row, column, c), at(w, k, r, s, c), at(y, n, h, v, k));
            }
          }
        }
      }
    }
  }
}

/// A sum of `terms` products of numbers in [-1, 1) wanders to about √terms/3. Its rounding errors, each a part of an
/// ulp of that, add to √terms/2 such ulps at six sigma; twice that, and twice again because in f64 the reference errs
/// as much. Winograd's F(4×4, 3×3) weighs products by up to 8 and takes their differences, which on numbers like these
/// doubles the errors. 16-bit outputs see one rounding at the end.
struct Allowed {
  double ulps, floor;
  Allowed(DType t, double terms, bool winograd)
      : ulps(t == DType::f32 || t == DType::f64 ? (winograd ? 2 : 1) * (2 + 2 * std::sqrt(terms)) : 1),
        floor(std::max(1.0, std::sqrt(terms) / 3)) {}
};

/// Other devices and types keep the bound of plain sums, and so does a pass that is not named.
bool by_winograd(const CaseRun& run, const Setting& z, Setting::Winograd least) {
  return !run.stream.device_bodies() && run.dtype != DType::f64 && z.winograd >= least;
}

void forward(CaseRun& run, const Setting& z) {
  const DType vector = accumulator_of(run.dtype);
  ConvArgs a{.x = run.input(z.x), .w = run.input(z.filter()), .geometry = z.geometry, .act = z.act};
  if (z.bias) a.bias = run.input({1, 1, 1, z.out}, vector, -1, 1);
  if (z.residual) a.residual = run.input(z.y());
  a.y = run.output(z.y());
  const size_t packed_bytes = conv_packed_bytes(run.stream, a);
  const OwnedTensor packed(run.stream.place(), {1, 1, 1, int(packed_bytes)}, DType::u8);
  if (packed_bytes > 0) conv_pack(run.stream, a, packed);
  // As inference runs it: from the packed filter, where the device has one.
  ConvArgs fast = a;
  if (packed_bytes > 0) {
    fast.packed = packed;
    fast.w.data = nullptr;
  }
  run.op(double(a.x.bytes() + a.w.bytes() + a.y.bytes() + (a.residual ? a.residual.bytes() : 0)), z.flops(),
         [&] { conv_forward(run.stream, fast); });
  if (!run.is_test()) return;

  std::vector<double> y(size_t(z.y().numel()), 0);
  const std::vector<double> x = run.values(a.x), w = run.values(a.w);
  for_each_product(z, [&](size_t i, size_t j, size_t o) { y[o] += x[i] * w[j]; });
  const std::vector<double> bias = a.bias ? run.values(a.bias) : std::vector<double>(size_t(z.out), 0);
  const std::vector<double> residual = a.residual ? run.values(a.residual) : std::vector<double>(y.size(), 0);
  for (size_t i = 0; i < y.size(); ++i) y[i] = activate(z.act, y[i] + bias[i % size_t(z.out)] + residual[i]);

  const double terms = double(z.rows) * z.columns * z.x.c;
  const Allowed from_packed(run.dtype, terms, by_winograd(run, z, Setting::Winograd::packed));
  const Allowed allowed(run.dtype, terms, by_winograd(run, z, Setting::Winograd::everywhere));
  run.expect("y", a.y, y, from_packed.ulps, from_packed.floor);
  a.y = run.output(z.y());
  conv_forward(run.stream, a);
  run.expect("y of a filter not packed", a.y, y, allowed.ulps, allowed.floor);
  if (a.residual) {
    a.y = a.residual;
    conv_forward(run.stream, a);
    run.expect("y in the residual's place", a.y, y, allowed.ulps, allowed.floor);
  }
}

std::vector<double> sum(std::vector<double> a, const std::vector<double>& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

void backward(CaseRun& run, const Setting& z) {
  const DType acc = accumulator_of(run.dtype);
  ConvGradArgs g{.x = run.input(z.x), .w = run.input(z.filter()), .dy = run.input(z.y()), .geometry = z.geometry};
  g.dx = run.output(z.x);
  g.dw = run.output(z.filter(), acc);
  g.dbias = run.output({1, 1, 1, z.out}, acc);
  run.op(double(g.x.bytes() + 2 * g.dy.bytes() + g.dx.bytes() + g.w.bytes() + g.dw.bytes()), 2 * z.flops(),
         [&] { conv_backward(run.stream, g); });
  if (!run.is_test()) return;

  const std::vector<double> x = run.values(g.x), w = run.values(g.w), dy = run.values(g.dy);
  std::vector<double> dx(x.size(), 0), dw(w.size(), 0), dbias(size_t(z.out), 0);
  for_each_product(z, [&](size_t i, size_t j, size_t o) {
    dx[i] += dy[o] * w[j];
    dw[j] += dy[o] * x[i];
  });
  for (size_t i = 0; i < dy.size(); ++i) dbias[i % size_t(z.out)] += dy[i];
  const bool winograd = by_winograd(run, z, Setting::Winograd::everywhere);
  const Allowed for_x(run.dtype, double(z.out) * z.rows * z.columns, winograd),
      for_w(acc, double(z.y().rows()), winograd);
  // cuDNN gives dw rounded to the activations' type: within one ulp of that.
  const double f32_ulps_of_16_bits = run.dtype == DType::bf16 ? 65536 : 8192;
  const double dw_ulps = run.stream.is_cuda() && size_of(run.dtype) == 2 ? f32_ulps_of_16_bits : for_w.ulps;
  const auto expect_all = [&](const char* when, const std::vector<double>& ex, const std::vector<double>& ew,
                              const std::vector<double>& eb) {
    run.expect(cat("dx ", when), g.dx, ex, for_x.ulps, for_x.floor);
    run.expect(cat("dw ", when), g.dw, ew, dw_ulps, for_w.floor);
    run.expect(cat("dbias ", when), g.dbias, eb, for_w.ulps, for_w.floor);
  };
  expect_all("assigned", dx, dw, dbias);
  const std::vector<double> dx1 = run.values(g.dx), dw1 = run.values(g.dw), dbias1 = run.values(g.dbias);
  conv_backward(run.stream, g);
  run.require("the same gradients give the same bits",
              dx1 == run.values(g.dx) && dw1 == run.values(g.dw) && dbias1 == run.values(g.dbias));

  Setting plain = z;
  ConvArgs f{.x = g.x, .w = g.w, .y = run.output(z.y()), .geometry = plain.geometry};
  f.bias = run.input({1, 1, 1, z.out}, acc, -1, 1);
  const auto recompute = [&] { conv_forward(run.stream, f); };
  run.gradient("dx", g.x, g.dx, f.y, g.dy, recompute);
  run.gradient("dw", g.w, g.dw, f.y, g.dy, recompute);
  run.gradient("dbias", f.bias, g.dbias, f.y, g.dy, recompute);

  g.dx_mode = g.dw_mode = GradMode::accumulate;
  const std::vector<double> old_x = run.values(run.input(z.x)), old_w = run.values(run.input(z.filter(), acc, -1, 1)),
                            old_b = run.values(run.input({1, 1, 1, z.out}, acc, -1, 1));
  run.assign(g.dx, old_x);
  run.assign(g.dw, old_w);
  run.assign(g.dbias, old_b);
  conv_backward(run.stream, g);
  expect_all("added", sum(old_x, dx), sum(old_w, dw), sum(old_b, dbias));

  run.assign(g.dx, old_x);
  run.assign(g.dw, old_w);
  run.assign(g.dbias, old_b);
  g.dx_mode = GradMode::ignore;
  conv_backward(run.stream, g);
  run.require("an ignored dx is left alone", run.values(g.dx) == old_x);
  g.dx_mode = GradMode::overwrite;
  g.dw_mode = GradMode::ignore;
  run.assign(g.dw, old_w);
  run.assign(g.dbias, old_b);
  conv_backward(run.stream, g);
  run.require("ignored dw and dbias are left alone", run.values(g.dw) == old_w && run.values(g.dbias) == old_b);
  run.expect("dx alone", g.dx, dx, for_x.ulps, for_x.floor);
  g.dx.data = g.dw.data = nullptr;
  g.dw_mode = GradMode::overwrite;
  conv_backward(run.stream, g);
  run.expect("dbias alone", g.dbias, dbias, for_w.ulps, for_w.floor);
}

const RegisterCases registered([](std::vector<OpCase>& to) {
  const Setting tested[] = {
      {{1, 1, 1, 1}, 1, 1, 1, {}},                                    // one number
      {{0, 5, 5, 3}, 4, 3, 3, {1, 1, 1}},                             // an empty batch
      {{1, 7, 5, 3}, 5, 3, 3, {1, 1, 1}, true},                       // odd sizes
      {{3, 1, 1, 17}, 19, 1, 1, {}, true, true, Act::elu},            // primes, 1×1
      {{3, 7, 7, 1}, 1, 3, 3, {1, 4, 1}, true, false, Act::tanh},     // more padding than filter
      {{1, 3, 2, 17}, 5, 5, 5, {1, 2, 1}, true, true, Act::relu},     // filter larger than the image
      {{2, 13, 11, 17}, 5, 3, 3, {2, 1, 1}, false, true},             // stride
      {{1, 23, 19, 16}, 32, 3, 3, {1, 4, 4}, true, false, Act::elu},  // dilation, whole vectors of channels
      {{1, 10, 12, 64}, 96, 3, 3, {1, 2, 2}, true, false, Act::none, Setting::Winograd::packed},  // dilation of many
                                                                                                  // channels
      {{1, 20, 33, 8}, 48, 3, 3, {1, 16, 16}, true},                    // dilation as large as the image
      {{2, 16, 15, 33}, 64, 1, 1, {2, 0, 1}, false, true, Act::relu},   // stride that skips pixels
      {{1, 29, 31, 3}, 64, 7, 7, {2, 3, 1}, false, false, Act::relu},   // the stem of a ResNet
      {{1, 35, 27, 3}, 16, 11, 11, {4, 2, 1}, true, false, Act::relu},  // the stem of AlexNet: rows never read
      {{1, 9, 12, 24}, 3, 3, 3, {1, 1, 1}, true, false, Act::tanh},     // the last of an inpainter
      {{1, 10, 6, 5}, 7, 5, 2, {3, 1, 2}, true, false, Act::sigmoid},   // a filter that is no square
      {{2, 8, 8, 64}, 64, 3, 3, {1, 1, 1}, false, true, Act::relu},     // a block of a ResNet
      {{2, 12, 10, 24}, 48, 3, 3, {2, 0, 1, 1}, true},                  // TensorFlow's SAME at stride 2
      {{1, 9, 7, 5}, 6, 4, 4, {1, 1, 1, 1}, true, false, Act::elu},     // and at stride 1 under an even filter
      {{1, 8, 6, 3}, 4, 3, 3, {2, 1, 1, 2}, true},                      // more zeros after than before
      {{1, 7, 70, 20}, 6, 3, 3, {1, 1, 1}, true, true, Act::relu},      // few channels, whose pixels lie side by side
      {{2, 18, 21, 6}, 40, 3, 3, {2, 1, 1}, true},                      // the same backward, in steps of two
      {{1, 12, 50, 33}, 20, 5, 5, {1, 4, 2}, false, true},              // more than a vector to more than a vector
      {{3, 5, 19, 24}, 8, 3, 3, {3, 2, 1}, true, false, Act::relu},     // a stride as large as the filter
  };
  for (const Setting& z : tested) {
    to.push_back({"conv_forward", z.name(), kAllFloats, [z](CaseRun& run) { forward(run, z); }});
    to.push_back({"conv_backward", z.name(), kAllFloats, [z](CaseRun& run) { backward(run, z); }});
  }
  // Many pixels: by Winograd on the host, with a remainder; in f64 and on other devices nothing here is new.
  constexpr auto kEverywhere = Setting::Winograd::everywhere;
  const Setting many[] = {{{2, 25, 23, 32}, 64, 3, 3, {1, 1, 1}, true, true, Act::relu, kEverywhere},
                          {{1, 23, 25, 64}, 64, 3, 3, {1, 1, 1}, false, false, Act::none, kEverywhere},
                          {{1, 28, 40, 32}, 64, 3, 3, {1, 4, 4}, true, true, Act::none, kEverywhere},
                          {{1, 24, 24, 64}, 64, 3, 3, {1, 2, 2}, true, false, Act::none, kEverywhere}};
  for (const Setting& z : many) {
    to.push_back({"conv_forward", z.name(), {DType::f32, DType::bf16}, [z](CaseRun& run) { forward(run, z); }});
    to.push_back({"conv_backward", z.name(), {DType::f32, DType::bf16}, [z](CaseRun& run) { backward(run, z); }});
  }
  const Setting timed[] = {
      {{8, 256, 256, 3}, 64, 7, 7, {2, 3, 1}},                           // ResNet at 256×256
      {{8, 64, 64, 64}, 64, 3, 3, {1, 1, 1}},                            //
      {{8, 64, 64, 64}, 256, 1, 1, {}, true, true, Act::relu},           //
      {{8, 32, 32, 128}, 128, 3, 3, {1, 1, 1}, true, false, Act::relu},  //
      {{8, 32, 32, 256}, 256, 3, 3, {2, 1, 1}},                          //
      {{8, 16, 16, 1024}, 256, 1, 1, {}},                                //
      {{8, 8, 8, 512}, 512, 3, 3, {1, 1, 1}, true, false, Act::relu},    //
      {{8, 31, 31, 64}, 192, 5, 5, {1, 2, 1}, true, false, Act::relu},   // AlexNet
      {{1, 256, 256, 4}, 96, 5, 5, {1, 2, 1}, true},                     // DeepFillv2
      {{1, 64, 64, 192}, 384, 3, 3, {1, 16, 16}, true},                  //
      {{1, 256, 256, 24}, 3, 3, 3, {1, 1, 1}, true, false, Act::tanh},   //
      {{8, 256, 256, 3}, 16, 3, 3, {1, 1, 1}, true},                     // small nets at full resolution
      {{8, 256, 256, 8}, 8, 3, 3, {1, 1, 1}, true},                      //
      {{8, 256, 256, 16}, 16, 3, 3, {1, 1, 1}, true},                    //
      {{8, 256, 256, 24}, 24, 3, 3, {1, 1, 1}, true},                    //
      {{8, 256, 256, 32}, 32, 3, 3, {1, 1, 1}, true},                    //
      {{8, 256, 256, 32}, 3, 3, 3, {1, 1, 1}, true},                     //
      {{8, 256, 256, 4}, 32, 5, 5, {1, 2, 1}, true},                     // DeepFillv2 at width 16
      {{8, 256, 256, 16}, 64, 3, 3, {2, 1, 1}, true},                    //
      {{8, 128, 128, 32}, 64, 3, 3, {1, 1, 1}, true},                    //
      {{8, 64, 64, 64}, 128, 3, 3, {1, 4, 4}, true},                     //
  };
  const std::vector<DType> types = {DType::f32, DType::bf16};
  // On a GPU at the batches the nets are timed with: 512 photographs for the detectors, 16 for DeepFillv2.
  const auto sized = [](const CaseRun& run, Setting z) {
    z.x = run.batched(z.x, z.x.n > 1 ? 512 : 16);
    return z;
  };
  for (const Setting& z : timed) {
    to.push_back({"conv_forward", z.name(), types, [=](CaseRun& run) { forward(run, sized(run, z)); }, true, false});
    to.push_back({"conv_backward", z.name(), types, [=](CaseRun& run) { backward(run, sized(run, z)); }, true, false});
  }
});

}  // namespace
}  // namespace telltale
