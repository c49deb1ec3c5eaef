// What --precision auto stands for.
#include <gtest/gtest.h>

#include "kernels/device/fast_bf16.h"
#include "models/device.h"

namespace telltale {
namespace {

TEST(Precision, AutoIsF32WhereBf16IsNoFaster) {
  override_fast_bf16(false);
  const Stream s = Stream::cpu();
  EXPECT_EQ(resolved_precision("auto", s), "f32");
  override_fast_bf16({});
}

TEST(Precision, AutoIsBf16WhereItIsFaster) {
  override_fast_bf16(true);
  const bool can = has_fast_bf16();
  const Stream s = Stream::cpu();
  const std::string chosen = resolved_precision("auto", s);
  override_fast_bf16({});
  if (!can) GTEST_SKIP() << "this processor has no AVX512_BF16, or oneDNN is not there";
  EXPECT_EQ(chosen, "bf16");
}

TEST(Precision, ANameStandsForItself) {
  const Stream s = Stream::cpu();
  for (const char* name : {"f32", "bf16", "f16", "tf32", "nonsense"}) EXPECT_EQ(resolved_precision(name, s), name);
}

}  // namespace
}  // namespace telltale
