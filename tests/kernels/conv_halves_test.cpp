// A convolution of a batch too large for a library's indices, as two: the same numbers, and gradients that add up.
#include <gtest/gtest.h>

#include "kernels/conv/halves.h"
#include "kernels/device/buffer.h"
#include "kernels/device/host_values.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {
namespace {

const ConvGeometry kGeometry{.stride = 2, .pad = 1};
const Shape kX{5, 6, 7, 3}, kW{4, 3, 3, 3}, kY = conv_output(kX, kW, kGeometry), kBias{1, 1, 1, 4};

class ConvHalves : public testing::Test {
 protected:
  OwnedTensor tensor(const Shape& shape, uint64_t seed) {
    OwnedTensor t(Place::host, shape, DType::f64);
    set_values(s_, t, uniform_values(shape.numel(), seed));
    return t;
  }
  Stream s_ = Stream::cpu();
};

TEST_F(ConvHalves, ForwardGivesTheSame) {
  const OwnedTensor x = tensor(kX, 1), w = tensor(kW, 2), bias = tensor(kBias, 3), residual = tensor(kY, 4),
                    whole = tensor(kY, 5), parts = tensor(kY, 6);
  ConvArgs a{x, w, bias, residual, whole, kGeometry, Act::relu};
  ref::conv_forward(s_, a);
  a.y = parts;
  const auto [first, second] = halves_of(a);
  EXPECT_EQ(first.y.shape.n, 2);
  EXPECT_EQ(second.y.shape.n, 3);
  ref::conv_forward(s_, first);
  ref::conv_forward(s_, second);
  EXPECT_EQ(values_of(s_, parts), values_of(s_, whole));
}

TEST_F(ConvHalves, GradientsAddUpInEveryMode) {
  const OwnedTensor x = tensor(kX, 1), w = tensor(kW, 2), dy = tensor(kY, 3);
  for (const GradMode mode : {GradMode::ignore, GradMode::overwrite, GradMode::accumulate}) {
    const OwnedTensor dx[] = {tensor(kX, 4), tensor(kX, 4)}, dw[] = {tensor(kW, 5), tensor(kW, 5)},
                      dbias[] = {tensor(kBias, 6), tensor(kBias, 6)};
    ConvGradArgs a{x, w, dy, dx[0], dw[0], dbias[0], kGeometry, GradMode::accumulate, mode};
    ref::conv_backward(s_, a);
    a.dx = dx[1], a.dw = dw[1], a.dbias = dbias[1];
    const auto [first, second] = halves_of(a);
    ref::conv_backward(s_, first);
    ref::conv_backward(s_, second);
    EXPECT_EQ(values_of(s_, dx[1]), values_of(s_, dx[0]));
    EXPECT_LT(relative_rms(values_of(s_, dw[0]), values_of(s_, dw[1])), 1e-14);
    EXPECT_LT(relative_rms(values_of(s_, dbias[0]), values_of(s_, dbias[1])), 1e-14);
  }
}

TEST(ConvHalvesNeeded, From31BitsOn) {
  const Tensor x{nullptr, {512, 256, 256, 3}, DType::bf16}, fits{nullptr, {511, 256, 256, 64}, DType::bf16},
      exceeds{nullptr, {512, 256, 256, 64}, DType::bf16}, single{nullptr, {1, 65536, 65536, 1}, DType::bf16};
  EXPECT_FALSE(needs_halves(x, fits));
  EXPECT_TRUE(needs_halves(x, exceeds));
  EXPECT_TRUE(needs_halves(exceeds, x));
  EXPECT_FALSE(needs_halves(single, single));  // nothing to divide
}

class LargeBatch : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, LargeBatch, testing::Values("cuda"), device_label);

/// VGG11's first convolution at batch 512: 2^31 numbers. Its last image is what it is alone.
TEST_P(LargeBatch, LastImageIsRight) {
  Stream s = stream();
  const int n = 512;
  const Shape filter{64, 3, 3, 3}, image{1, 256, 256, 3};
  const ConvGeometry geometry{.pad = 1};
  const OwnedTensor x(s.place(), {n, image.h, image.w, image.c}, DType::bf16), w(s.place(), filter, DType::bf16),
      y(s.place(), {n, image.h, image.w, filter.n}, DType::bf16),
      alone(s.place(), {1, image.h, image.w, filter.n}, DType::bf16);
  const Tensor last_x = images_of(x, n - 1, n), last_y = images_of(y, n - 1, n);
  ASSERT_TRUE(needs_halves(x, y));
  fill_zero(s, x);
  set_values(s, last_x, uniform_values(image.numel(), 1));
  set_values(s, w, uniform_values(filter.numel(), 2));
  conv_forward(s, {.x = x, .w = w, .y = y, .geometry = geometry});
  conv_forward(s, {.x = last_x, .w = w, .y = alone, .geometry = geometry});
  const std::vector<double> want = values_of(s, alone);
  EXPECT_GT(relative_rms(want, std::vector<double>(want.size())), 0.99);  // not all zeros
  EXPECT_LT(relative_rms(want, values_of(s, last_y)), 1e-2);              // engines may sum in another order
}

}  // namespace
}  // namespace telltale
