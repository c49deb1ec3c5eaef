// Lane order: a device body run with its lanes first to last and last to first must give the same bits. It is how a
// race inside a phase shows without a GPU.
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/case/op_case.h"
#include "kernels/device/philox.h"
#include "kernels/norm/batchnorm.h"
#include "kernels/reduce.h"
#if !TT_CUDA
#include "kernels/device/launch.h"
#include "kernels/parts/column_tiles.h"
#endif

namespace telltale {

void PrintTo(const Shape& shape, std::ostream* out) { *out << to_string(shape); }
void PrintTo(DType type, std::ostream* out) { *out << name_of(type); }

namespace {

std::vector<unsigned char> bits(Stream& s, Tensor t) {
  std::vector<unsigned char> out(t.bytes());
  download(s, out.data(), t);
  return out;
}

using Outputs = std::vector<std::vector<unsigned char>>;
/// Runs f on the same inputs with the lanes in both orders.
template <class F>
void expect_same_bits(DType type, F f) {
  Stream forward = Stream::emulated(false), reversed = Stream::emulated(true);
  CaseRun a(forward, type, CaseRun::Mode::test, 1), b(reversed, type, CaseRun::Mode::test, 1);
  EXPECT_EQ(f(a), f(b));
}

class LaneOrder : public testing::TestWithParam<std::tuple<Shape, DType>> {};

TEST_P(LaneOrder, BatchNormKeepsItsBits) {
  const auto [shape, type] = GetParam();
  expect_same_bits(type, [shape = shape](CaseRun& run) {
    const DType acc = accumulator_of(run.dtype);
    const Shape v{1, 1, 1, shape.c};
    BatchNormArgs a;
    a.x = run.input(shape);
    a.y = run.output(shape);
    a.residual = run.input(shape);
    a.gamma = run.input(v, acc, 0.5, 1.5);
    a.beta = run.input(v, acc, -1, 1);
    a.mean = run.output(v, acc);
    a.rstd = run.output(v, acc);
    a.running_mean = run.input(v, acc, -1, 1);
    a.running_var = run.input(v, acc, 0.5, 1.5);
    a.act = Act::relu;
    a.passed = run.output(passed_shape(shape), DType::u8);
    batchnorm_forward(run.stream, a);
    BatchNormGradArgs g;
    g.x = a.x;
    g.passed = a.passed;
    g.dy = run.input(shape);
    g.gamma = a.gamma;
    g.mean = a.mean;
    g.rstd = a.rstd;
    g.dx = run.output(shape);
    g.dresidual = run.output(shape);
    g.dgamma = run.output(v, acc);
    g.dbeta = run.output(v, acc);
    g.act = Act::relu;
    batchnorm_backward(run.stream, g);
    Outputs out;
    for (const Tensor& t :
         {a.y, a.passed, a.mean, a.rstd, a.running_mean, a.running_var, g.dx, g.dresidual, g.dgamma, g.dbeta})
      out.push_back(bits(run.stream, t));
    return out;
  });
}

TEST_P(LaneOrder, SumsKeepTheirBits) {
  const auto [shape, type] = GetParam();
  expect_same_bits(type, [shape = shape](CaseRun& run) {
    const DType acc = accumulator_of(run.dtype);
    const Tensor x = run.input(shape), columns = run.output({1, 1, 1, shape.c}, acc);
    column_sums(run.stream, x, columns);
    return Outputs{bits(run.stream, columns)};
  });
}

INSTANTIATE_TEST_SUITE_P(All, LaneOrder,
                         testing::Combine(testing::Values(Shape{1, 1, 1, 1}, Shape{2, 5, 7, 3}, Shape{4, 33, 35, 24},
                                                          Shape{1, 7, 7, 600}),
                                          testing::Values(DType::f32, DType::f64, DType::bf16, DType::f16)));

#if !TT_CUDA  // launch.h belongs to the device compiler when there is one

/// Lane t adds its left neighbour's number in the phase in which that neighbour changes it: a race.
struct Racy {
  struct Shared {
    int v[64];
  };
  int* out;
  void operator()(const Block<64>& b, Shared& s) const {
    b.each([&](int t) { s.v[t] = t; });
    b.each([&](int t) {
      if (t > 0) s.v[t] += s.v[t - 1];
    });
    b.each([&](int t) { out[t] = s.v[t]; });
  }
};

/// The same with the numbers read a phase earlier.
struct Raceless {
  struct Shared {
    int v[64];
  };
  int* out;
  void operator()(const Block<64>& b, Shared& s) const {
    auto left = b.lane(0);
    b.each([&](int t) { s.v[t] = t; });
    b.each([&](int t) { left[t] = t > 0 ? s.v[t - 1] : 0; });
    b.each([&](int t) { s.v[t] += left[t]; });
    b.each([&](int t) { out[t] = s.v[t]; });
  }
};

template <class K>
std::vector<int> run_lanes(bool reversed) {
  Stream s = Stream::emulated(reversed);
  std::vector<int> out(64, -1);
  launch<64>(s, 1, K{out.data()});
  return out;
}

TEST(LaneOrder, APlantedRaceIsCaught) {
  EXPECT_NE(run_lanes<Racy>(false), run_lanes<Racy>(true));
  EXPECT_EQ(run_lanes<Raceless>(false), run_lanes<Raceless>(true));
  EXPECT_EQ(run_lanes<Raceless>(false)[63], 63 + 62);
}

/// Keeps the totals of K terms.
struct Keep {
  float* to;
  TT_HD void operator()(int c, const float (&sums)[2]) const {
    to[2 * c] = sums[0];
    to[2 * c + 1] = sums[1];
  }
};

/// A lane's slabs in turn, then lane l and lane l + 16, 8, 4, 2, 1.
std::vector<float> folded_in_order(const std::vector<float>& partial, int64_t slabs, int c) {
  std::vector<float> totals;
  for (int channel = 0; channel < c; ++channel)
    for (int k = 0; k < 2; ++k) {
      std::vector<float> lanes(32, 0.0f);
      for (int64_t i = 0; i < slabs; ++i) lanes[size_t(i % 32)] += partial[size_t((i * 2 + k) * c + channel)];
      for (size_t half = 16; half > 0; half /= 2)
        for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
      totals.push_back(lanes[0]);
    }
  return totals;
}

TEST(Fold, HoweverManyChannelsABlockTakesTheSumsKeepTheirBits) {
  for (const int64_t slabs : {1, 31, 32, 33, 255, 257, 1056})
    for (const int c : {1, 7, 64, 65}) {
      Random random(uint64_t(slabs * 100 + c));
      std::vector<float> partial(size_t(slabs * 2 * c)), one(size_t(2 * c)), eight = one;
      for (float& v : partial) v = float(random.uniform(-1, 1));
      Stream s = Stream::emulated();
      const FoldSlabs<float, 2, Keep, 1> by_one{slabs, c, partial.data(), {one.data()}};
      launch<by_one.kLanes>(s, by_one.grid(), by_one);
      const FoldSlabs<float, 2, Keep, 8> by_eight{slabs, c, partial.data(), {eight.data()}};
      launch<by_eight.kLanes>(s, by_eight.grid(), by_eight);
      EXPECT_EQ(one, folded_in_order(partial, slabs, c)) << slabs << " slabs of " << c;
      EXPECT_EQ(eight, one) << slabs << " slabs of " << c;
    }
}

/// As many blocks as there are channels, unless blocks that read whole sectors are enough for every multiprocessor.
TEST(Fold, NoMultiprocessorIsIdleThatCouldHaveAChannel) {
  for (const int c : {1, 3, 8, 64, 256, 512, 1024, 1055, 1056, 2048, 4096}) {
    const int blocks = (c + fold_channels(c) - 1) / fold_channels(c);
    EXPECT_GE(blocks, std::min(c, kMultiprocessors)) << c;
    EXPECT_TRUE(fold_channels(c) == kSectorChannels || blocks == c) << c;
  }
  EXPECT_EQ(fold_channels(2048), kSectorChannels) << "where they are enough, whole sectors are read";
}

#endif

}  // namespace
}  // namespace telltale
