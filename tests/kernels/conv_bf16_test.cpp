// Convolutions that multiply bf16 as it is, on processors that can, also where f32 would be faster.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/case/op_case.h"
#include "kernels/device/fast_bf16.h"

#if TT_ONEDNN
namespace telltale {
namespace {

class ConvInBf16 : public testing::Test {
 protected:
  void SetUp() override {
    override_fast_bf16(true);
    if (!has_fast_bf16()) GTEST_SKIP() << "this processor has no AVX512_BF16";
  }
  void TearDown() override { override_fast_bf16({}); }

  /// Runs every case of the op.
  static void run(const std::string& op) {
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
    EXPECT_GT(cases, 10);
  }
};

TEST_F(ConvInBf16, ForwardMatchesItsReference) { run("conv_forward"); }
TEST_F(ConvInBf16, BackwardMatchesItsReference) { run("conv_backward"); }

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
