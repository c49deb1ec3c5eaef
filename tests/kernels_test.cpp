// Every case × device × dtype. A GPU that is not there is skipped loudly; TT_REQUIRE_GPU=1 makes that a failure.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "kernels/core/op_case.h"

namespace telltale {
namespace {

enum class On { cpu, emulated, reversed, cuda };
const char* const kDeviceNames[] = {"cpu", "emulated", "reversed", "cuda"};

struct Param {
  OpCase c;
  On on;
  DType dtype;
};

std::map<std::string, Margin>& closest() {
  static std::map<std::string, Margin> m;
  return m;
}
int device_checks_run = 0, device_checks_all = 0;

class Kernel : public testing::TestWithParam<Param> {};

TEST_P(Kernel, MatchesReference) {
  const auto& [c, on, dtype] = GetParam();
  if (on == On::cuda) {
    ++device_checks_all;
    const std::string reason = cuda_unavailable_reason();
    if (!reason.empty()) {
      if (std::getenv("TT_REQUIRE_GPU")) FAIL() << "TT_REQUIRE_GPU is set, but: " << reason;
      GTEST_SKIP() << reason;
    }
    ++device_checks_run;
  }
  Stream stream = on == On::cpu    ? Stream::cpu()
                  : on == On::cuda ? Stream::cuda()
                                   : Stream::emulated(on == On::reversed);
  CaseRun run(stream, dtype, CaseRun::Mode::test, 20260101);
  c.run(run);
  run.check_guards();
  for (const std::string& f : run.failures()) ADD_FAILURE() << f;
  Margin& worst = closest()[c.op];
  if (run.margin().share > worst.share) worst = run.margin();
}

std::vector<Param> params() {
  std::vector<Param> out;
  for (const OpCase& c : all_cases()) {
    if (!c.test) continue;
    for (DType t : c.dtypes) {
      for (On on : {On::cpu, On::emulated, On::reversed, On::cuda}) out.push_back({c, on, t});
    }
  }
  return out;
}

std::string label(const testing::TestParamInfo<Param>& info) {
  std::string s = info.param.c.op + "_" + info.param.c.size;
  for (char& ch : s) {
    if (!std::isalnum(static_cast<unsigned char>(ch))) ch = '_';
  }
  return s + "_" + name_of(info.param.dtype) + "_" + kDeviceNames[int(info.param.on)] + "_" +
         std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(All, Kernel, testing::ValuesIn(params()), label);

TEST(KernelFiles, EveryDeviceFileHasACase) {
  std::set<std::string> cases;
  const std::filesystem::path folder = std::filesystem::path(TT_SOURCE_DIR) / "kernels";
  for (const auto& f : std::filesystem::directory_iterator(folder)) {
    const std::string stem = f.path().stem();
    if (stem.ends_with("_case")) cases.insert(stem.substr(0, stem.size() - 5));
  }
  for (const auto& f : std::filesystem::directory_iterator(folder)) {
    if (f.path().extension() != ".cu") continue;
    std::string stem = f.path().stem();
    if (stem.ends_with("_ref")) stem.resize(stem.size() - 4);
    EXPECT_TRUE(cases.count(stem)) << f.path() << " has no " << stem << "_case.cpp";
  }
}

class Report : public testing::Environment {
 public:
  void TearDown() override {
    for (const auto& [op, m] : closest())
      std::printf("closest margin %-24s %5.1f %%  %s\n", op.c_str(), 100 * m.share, m.where.c_str());
    std::printf("GPU: %d of %d checks ran%s\n", device_checks_run, device_checks_all,
                device_checks_run < device_checks_all ? ", CUDA kernels NOT verified" : "");
  }
};
const auto* const report = testing::AddGlobalTestEnvironment(new Report);

}  // namespace
}  // namespace telltale
