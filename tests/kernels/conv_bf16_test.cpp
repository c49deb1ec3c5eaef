// Convolutions that multiply bf16 as it is, on processors that can, also where f32 would be faster.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/case/op_case.h"
#include "kernels/conv/amx/convolution.h"
#include "kernels/device/fast_bf16.h"

#if TT_ONEDNN
namespace telltale {
namespace {

/// Runs every case of the op.
void run_cases(const std::string& op, int least = 10) {
  int cases = 0;
  for (const OpCase& c : all_cases()) {
    const bool in_bf16 = std::find(c.dtypes.begin(), c.dtypes.end(), DType::bf16) != c.dtypes.end();
    if (c.op != op || !c.test || !in_bf16) continue;
    SCOPED_TRACE(c.size);
    Stream stream = Stream::cpu();
    CaseRun run(stream, DType::bf16, CaseRun::Mode::test, 20260101);
    c.run(run);
    run.check_guards();
    for (const std::string& f : run.failures()) ADD_FAILURE() << f;
    ++cases;
  }
  EXPECT_GE(cases, least);
}

/// Through the library. (oneDNN 2.6 gives NaN for some filters' gradients by AMX, which it never gets to multiply.)
class ConvInBf16 : public testing::Test {
 protected:
  void SetUp() override {
    override_fast_bf16(true);
    if (!has_fast_bf16()) GTEST_SKIP() << "this processor has no AVX512_BF16";
    if (amx::has_hardware()) GTEST_SKIP() << "on this processor tiles multiply them";
  }
  void TearDown() override { override_fast_bf16({}); }
};

/// By tiles, on any processor.
class ConvByTiles : public testing::TestWithParam<amx::Choice> {
 protected:
  void SetUp() override {
    if (GetParam() == amx::Choice::hardware && !amx::has_hardware()) GTEST_SKIP() << "this processor has no AMX";
    amx::choose_loops(GetParam());
  }
  void TearDown() override { amx::choose_loops(amx::Choice::hardware); }
};

TEST_F(ConvInBf16, ForwardMatchesItsReference) { run_cases("conv_forward"); }
TEST_F(ConvInBf16, BackwardMatchesItsReference) { run_cases("conv_backward"); }

TEST_P(ConvByTiles, ForwardMatchesItsReference) { run_cases("conv_forward"); }
TEST_P(ConvByTiles, BackwardMatchesItsReference) { run_cases("conv_backward"); }
TEST_P(ConvByTiles, GatesMatchTheirReference) { run_cases("gated_conv_forward", 3); }
TEST_P(ConvByTiles, LinearLayersMatchTheirReference) {
  run_cases("linear_forward");
  run_cases("linear_backward");
}
INSTANTIATE_TEST_SUITE_P(Amx, ConvByTiles, testing::Values(amx::Choice::hardware, amx::Choice::plain_code),
                         [](const auto& p) { return p.param == amx::Choice::hardware ? "hardware" : "plain_code"; });

TEST(ConvInBf16Override, EndsWithTheTest) {
  const bool before = has_fast_bf16();
  override_fast_bf16(false);
  EXPECT_FALSE(has_fast_bf16());
  override_fast_bf16({});
  EXPECT_EQ(has_fast_bf16(), before);
}

}  // namespace
}  // namespace telltale
#endif
