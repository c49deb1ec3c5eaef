// How matrix products are told to a column-major library, without the library: each Product, run by a plain loop over
// columns, must give what the row-major reference gives. Small whole numbers make every sum exact.
#include <gtest/gtest.h>

#include "kernels/device/buffer.h"
#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"
#include "kernels/matmul/product.h"

namespace telltale {
namespace {

OwnedTensor whole_numbers(Stream& s, Shape shape, uint64_t seed) {
  OwnedTensor t(Place::host, shape, DType::f32);
  Random random(seed);
  std::vector<double> values(size_t(shape.numel()));
  for (double& v : values) v = double(random.integer(-4, 4));
  set_values(s, t, values);
  return t;
}

/// As the library reads its arguments.
void run(const Product& p) {
  ASSERT_EQ(p.in, DType::f32);
  for (int64_t which = 0; which < p.batch; ++which) {
    const float *a = static_cast<const float*>(p.a) + which * p.stride_a,
                *b = static_cast<const float*>(p.b) + which * p.stride_b;
    float* d = static_cast<float*>(p.d) + which * p.stride_d;
    for (int64_t j = 0; j < p.n; ++j) {
      for (int64_t i = 0; i < p.m; ++i) {
        float sum = 0;
        for (int64_t l = 0; l < p.k; ++l)
          sum += (p.transpose_a ? a[l + i * p.lda] : a[i + l * p.lda]) *
                 (p.transpose_b ? b[j + l * p.ldb] : b[l + j * p.ldb]);
        d[i + j * p.ldd] = p.alpha * sum + (p.beta == 0 ? 0 : p.beta * d[i + j * p.ldd]);
      }
    }
  }
}

TEST(Product, OfALinearLayerBothWays) {
  Stream s = Stream::cpu(1);
  const Shape x{5, 2, 3, 4}, w{7, 2, 3, 4}, y{5, 1, 1, 7};
  const OwnedTensor in = whole_numbers(s, x, 1), weight = whole_numbers(s, w, 2), gradient = whole_numbers(s, y, 3);
  const OwnedTensor got(Place::host, y, DType::f32), expected(Place::host, y, DType::f32);
  LinearArgs forward{.x = in, .w = weight, .y = expected};
  ref::linear_forward(s, forward);
  forward.y = got;
  run(forward_product(forward));
  EXPECT_EQ(values_of(s, got), values_of(s, expected));

  for (GradMode mode : {GradMode::overwrite, GradMode::accumulate}) {
    const OwnedTensor dx = whole_numbers(s, x, 4), dw = whole_numbers(s, w, 5);
    const OwnedTensor want_dx = whole_numbers(s, x, 4), want_dw = whole_numbers(s, w, 5);
    LinearGradArgs backward{.x = in, .w = weight, .dy = gradient, .dx = want_dx, .dw = want_dw};
    backward.dx_mode = backward.dw_mode = mode;
    ref::linear_backward(s, backward);
    backward.dx = dx;
    backward.dw = dw;
    run(input_grad_product(backward));
    run(weight_grad_product(backward));
    EXPECT_EQ(values_of(s, dx), values_of(s, want_dx));
    EXPECT_EQ(values_of(s, dw), values_of(s, want_dw));
  }
}

TEST(Product, OfEveryGemm) {
  Stream s = Stream::cpu(1);
  for (int turned = 0; turned < 4; ++turned) {
    const bool ta = turned & 1, tb = turned & 2;
    const int m = 3, n = 5, k = 7, batch = 2, slack = 2;
    const int lda = (ta ? m : k) + slack, ldb = (tb ? k : n) + slack, ldc = n + slack;
    const OwnedTensor a = whole_numbers(s, {batch, 1, ta ? k : m, lda}, 1);
    const OwnedTensor b = whole_numbers(s, {batch, 1, tb ? n : k, ldb}, 2);
    const OwnedTensor got = whole_numbers(s, {batch, 1, m, ldc}, 3), want = whole_numbers(s, {batch, 1, m, ldc}, 3);
    GemmArgs g{.a = a.tensor.data,
               .b = b.tensor.data,
               .c = want.tensor.data,
               .transpose_a = ta,
               .transpose_b = tb,
               .m = m,
               .n = n,
               .k = k,
               .lda = lda,
               .ldb = ldb,
               .ldc = ldc,
               .alpha = 2,
               .beta = -1,
               .batch = batch,
               .stride_a = a.tensor.shape.numel() / batch,
               .stride_b = b.tensor.shape.numel() / batch,
               .stride_c = want.tensor.shape.numel() / batch};
    ref::gemm(s, g);
    g.c = got.tensor.data;
    run(gemm_product(g));
    EXPECT_EQ(values_of(s, got), values_of(s, want)) << "a turned: " << ta << ", b turned: " << tb;
  }
}

TEST(Product, KeepsF32SumsForTheWeightsOf16BitNets) {
  LinearGradArgs g{.x = {nullptr, {4, 1, 1, 8}, DType::bf16},
                   .w = {nullptr, {16, 1, 1, 8}, DType::bf16},
                   .dy = {nullptr, {4, 1, 1, 16}, DType::bf16}};
  EXPECT_EQ(weight_grad_product(g).out, DType::f32);
  EXPECT_EQ(input_grad_product(g).out, DType::bf16);
}

}  // namespace
}  // namespace telltale
