// Matrix products against plain loops in double.
#include <algorithm>
#include <cmath>

#include "kernels/case/op_case.h"
#include "kernels/matmul/matmul.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

struct LinearSize {
  Shape x;
  int out;
  bool bias = true;
  Act act = Act::none;
  int in() const { return x.h * x.w * x.c; }
  std::string name() const {
    static const char* const acts[] = {"", " relu", " elu", " sigmoid", " tanh"};
    return cat(to_string(x), "->", out, bias ? " bias" : "", acts[int(act)]);
  }
};

/// As for convolutions: a sum of `terms` products errs by √terms/2 ulps of its usual size at six sigma; twice that, and
/// twice again because in f64 the reference errs as much. 16-bit outputs see one rounding at the end.
struct Allowed {
  double ulps, floor;
  Allowed(DType t, double terms)
      : ulps(t == DType::f32 || t == DType::f64 ? 2 + 2 * std::sqrt(terms) : 1),
        floor(std::max(1.0, std::sqrt(terms) / 3)) {}
};

void linear_forward_case(CaseRun& run, const LinearSize& z) {
  LinearArgs a{.x = run.input(z.x), .act = z.act};
  a.w = run.input({z.out, z.x.h, z.x.w, z.x.c});
  if (z.bias) a.bias = run.input({1, 1, 1, z.out}, accumulator_of(run.dtype), -1, 1);
  a.y = run.output({z.x.n, 1, 1, z.out});
  run.op(double(a.x.bytes() + a.w.bytes() + a.y.bytes()), 2.0 * double(a.w.shape.numel()) * z.x.n,
         [&] { linear_forward(run.stream, a); });
  if (!run.is_test()) return;
  const std::vector<double> x = run.values(a.x), w = run.values(a.w);
  const std::vector<double> bias = z.bias ? run.values(a.bias) : std::vector<double>(size_t(z.out), 0);
  std::vector<double> y(size_t(z.x.n) * size_t(z.out), 0);
  const size_t in = size_t(z.in()), out = size_t(z.out);
  for (size_t i = 0; i < y.size(); ++i) {
    for (size_t k = 0; k < in; ++k) y[i] += x[i / out * in + k] * w[i % out * in + k];
    y[i] = activate(z.act, y[i] + bias[i % out]);
  }
  const Allowed allowed(run.dtype, z.in());
  run.expect("y", a.y, y, allowed.ulps, allowed.floor);
}

void linear_backward_case(CaseRun& run, const LinearSize& z) {
  const DType acc = accumulator_of(run.dtype);
  const Shape bias_shape{1, 1, 1, z.out}, y_shape{z.x.n, 1, 1, z.out}, w_shape{z.out, z.x.h, z.x.w, z.x.c};
  LinearGradArgs g{.x = run.input(z.x), .w = run.input(w_shape), .dy = run.input(y_shape)};
  g.dx = run.output(z.x);
  g.dw = run.output(w_shape, acc);
  g.dbias = run.output(bias_shape, acc);
  run.op(double(g.x.bytes() + g.dx.bytes() + g.w.bytes() + g.dw.bytes() + g.dy.bytes()),
         4.0 * double(g.w.shape.numel()) * z.x.n, [&] { linear_backward(run.stream, g); });
  if (!run.is_test()) return;
  const std::vector<double> x = run.values(g.x), w = run.values(g.w), dy = run.values(g.dy);
  std::vector<double> dx(x.size(), 0), dw(w.size(), 0), dbias(size_t(z.out), 0);
  const size_t in = size_t(z.in()), out = size_t(z.out);
  for (size_t i = 0; i < dy.size(); ++i) {
    const size_t n = i / out, o = i % out;
    for (size_t k = 0; k < in; ++k) {
      dx[n * in + k] += dy[i] * w[o * in + k];
      dw[o * in + k] += dy[i] * x[n * in + k];
    }
    dbias[o] += dy[i];
  }
  const Allowed for_x(run.dtype, z.out), for_w(acc, z.x.n);
  run.expect("dx", g.dx, dx, for_x.ulps, for_x.floor);
  run.expect("dw", g.dw, dw, for_w.ulps, for_w.floor);
  run.expect("dbias", g.dbias, dbias, for_w.ulps, for_w.floor);

  LinearArgs f{.x = g.x, .w = g.w, .bias = run.input(bias_shape, acc, -1, 1), .y = run.output(y_shape)};
  const auto recompute = [&] { linear_forward(run.stream, f); };
  run.gradient("dx", g.x, g.dx, f.y, g.dy, recompute);
  run.gradient("dw", g.w, g.dw, f.y, g.dy, recompute);
  run.gradient("dbias", f.bias, g.dbias, f.y, g.dy, recompute);

  const std::vector<double> old_x = run.values(run.input(z.x)), old_w = run.values(run.input(w_shape, acc, -1, 1)),
                            old_b = run.values(run.input(bias_shape, acc, -1, 1));
  const auto restore = [&](GradMode dx_mode, GradMode dw_mode) {
    run.assign(g.dx, old_x);
    run.assign(g.dw, old_w);
    run.assign(g.dbias, old_b);
    g.dx_mode = dx_mode;
    g.dw_mode = dw_mode;
    linear_backward(run.stream, g);
  };
  restore(GradMode::accumulate, GradMode::accumulate);
  for (size_t i = 0; i < dx.size(); ++i) dx[i] += old_x[i];
  for (size_t i = 0; i < dw.size(); ++i) dw[i] += old_w[i];
  for (size_t i = 0; i < dbias.size(); ++i) dbias[i] += old_b[i];
  run.expect("dx added", g.dx, dx, for_x.ulps, for_x.floor);
  run.expect("dw added", g.dw, dw, for_w.ulps, for_w.floor);
  run.expect("dbias added", g.dbias, dbias, for_w.ulps, for_w.floor);
  restore(GradMode::ignore, GradMode::ignore);
  run.require("ignored gradients are left alone",
              run.values(g.dx) == old_x && run.values(g.dw) == old_w && run.values(g.dbias) == old_b);
}

struct GemmSize {
  int m, n, k;
  bool ta = false, tb = false;
  int slack = 0;  ///< of each row beyond what the product needs
  double alpha = 1, beta = 0;
  int batch = 1;
  std::string name() const {
    return cat(batch > 1 ? cat(batch, " times ") : "", m, "x", n, "x", k, ta ? " at" : "", tb ? " bt" : "",
               slack ? " strided" : "", " alpha", alpha, " beta", beta);
  }
};

void gemm_case(CaseRun& run, const GemmSize& z) {
  const int lda = (z.ta ? z.m : z.k) + z.slack, ldb = (z.tb ? z.k : z.n) + z.slack, ldc = z.n + z.slack;
  const Shape a_shape{z.batch, 1, z.ta ? z.k : z.m, lda}, b_shape{z.batch, 1, z.tb ? z.n : z.k, ldb};
  const Shape c_shape{z.batch, 1, z.m, ldc};
  const Tensor a = run.input(a_shape), b = run.input(b_shape);
  // With beta = 0 whatever c holds must not matter.
  const Tensor c = z.beta == 0 ? run.output(c_shape) : run.input(c_shape);
  std::vector<double> expected = run.is_test() ? run.values(c) : std::vector<double>();
  const GemmArgs args{.a = a.data,
                      .b = b.data,
                      .c = c.data,
                      .dtype = run.dtype,
                      .transpose_a = z.ta,
                      .transpose_b = z.tb,
                      .m = z.m,
                      .n = z.n,
                      .k = z.k,
                      .lda = lda,
                      .ldb = ldb,
                      .ldc = ldc,
                      .alpha = z.alpha,
                      .beta = z.beta,
                      .batch = z.batch,
                      .stride_a = int64_t(a_shape.w) * lda,
                      .stride_b = int64_t(b_shape.w) * ldb,
                      .stride_c = int64_t(c_shape.w) * ldc};
  run.op(double(a.bytes() + b.bytes() + c.bytes()), 2.0 * z.batch * z.m * z.n * z.k, [&] { gemm(run.stream, args); });
  if (!run.is_test()) return;
  const std::vector<double> va = run.values(a), vb = run.values(b);
  for (int i = 0; i < z.batch * z.m; ++i) {
    const int which = i / z.m, row = i % z.m;
    for (int j = 0; j < z.n; ++j) {
      double sum = 0;
      for (int k = 0; k < z.k; ++k) {
        const int at_a = z.ta ? k * lda + row : row * lda + k, at_b = z.tb ? j * ldb + k : k * ldb + j;
        sum += va[size_t(which * args.stride_a + at_a)] * vb[size_t(which * args.stride_b + at_b)];
      }
      double& e = expected[size_t(int64_t(i) * ldc + j)];
      e = z.alpha * sum + (z.beta == 0 ? 0 : z.beta * e);
    }
  }
  const Allowed allowed(run.dtype, z.k);
  run.expect("c", c, expected, allowed.ulps, allowed.floor * std::max(1.0, std::abs(z.alpha)));
}

const RegisterCases registered([](std::vector<OpCase>& to) {
  const LinearSize linears[] = {
      {{1, 1, 1, 1}, 1},
      {{0, 1, 1, 9}, 4},
      {{1, 1, 1, 37}, 5, true, Act::sigmoid},
      {{2, 1, 1, 513}, 17, false},
      {{3, 5, 3, 7}, 31, true, Act::relu},
      {{4, 1, 1, 129}, 65, true, Act::elu},
      {{17, 1, 1, 64}, 128, true, Act::relu},
      {{33, 2, 2, 48}, 67, false, Act::tanh},
      {{5, 1, 1, 256}, 64, true, Act::relu},
      {{40, 2, 2, 32}, 96},
  };
  for (const LinearSize& z : linears) {
    to.push_back({"linear_forward", z.name(), kAllFloats, [z](CaseRun& run) { linear_forward_case(run, z); }});
    to.push_back({"linear_backward", z.name(), kAllFloats, [z](CaseRun& run) { linear_backward_case(run, z); }});
  }
  const GemmSize gemms[] = {
      {1, 1, 1},
      {0, 3, 5},
      {5, 7, 0, false, false, 0, 1, .5},
      {7, 5, 3, false, true, 2},
      {13, 17, 31, true, false, 1, -.5, 2},
      {64, 65, 63, true, true, 0, 1, 1},
      {1, 127, 33},
      {127, 1, 33, true, false, 3},
      {9, 11, 17, false, true, 1, .5, 1, 3},
      {24, 16, 8, true, false, 0, 1, 0, 5},
  };
  for (const GemmSize& z : gemms)
    to.push_back({"gemm", z.name(), {DType::f32, DType::f64}, [z](CaseRun& run) { gemm_case(run, z); }});

  const std::vector<DType> types = {DType::f32, DType::bf16};
  // The widest layers of VGG11 and AlexNet, for one photograph and for a batch.
  const LinearSize timed[] = {{{1, 7, 7, 512}, 4096, true, Act::relu},
                              {{1, 1, 1, 4096}, 4096, true, Act::relu},
                              {{32, 6, 6, 256}, 4096, true, Act::relu},
                              {{32, 1, 1, 4096}, 4096, true, Act::relu}};
  const auto sized = [](const CaseRun& run, LinearSize z) {
    if (z.x.n > 1) z.x = run.batched(z.x, 512);
    return z;
  };
  for (const LinearSize& z : timed) {
    to.push_back({"linear_forward", z.name(), types, [=](CaseRun& run) { linear_forward_case(run, sized(run, z)); },
                  true, false});
    to.push_back({"linear_backward", z.name(), types, [=](CaseRun& run) { linear_backward_case(run, sized(run, z)); },
                  true, false});
  }
  // Contextual attention's two, for one photograph of 256×256; on a GPU for 16.
  for (const GemmSize& z : {GemmSize{1024, 1024, 1728, false, true}, GemmSize{1024, 3072, 1024, true}})
    to.push_back({"gemm",
                  z.name(),
                  {DType::f32},
                  [z](CaseRun& run) {
                    GemmSize sized = z;
                    sized.batch = run.batched({z.batch, 1, 1, 1}, 16).n;
                    gemm_case(run, sized);
                  },
                  true,
                  false});
});

}  // namespace
}  // namespace telltale
