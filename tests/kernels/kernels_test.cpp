// Every case × device × dtype. A GPU that is not there is skipped loudly; TT_REQUIRE_GPU=1 makes that a failure.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "kernels/case/op_case.h"
#include "kernels/device/cuda_api.h"
#include "tests/devices.h"
#include "tests/kernels/gpu_ledger.h"

namespace telltale {
namespace {

enum class On { cpu, emulated, reversed, cuda };
const char* const kDeviceNames[] = {"cpu", "emulated", "reversed", "cuda"};

struct Param {
  OpCase c;
  On on;
  DType dtype;
};
void PrintTo(const Param& p, std::ostream* out) {
  *out << p.c.op << " " << p.c.size << " " << name_of(p.dtype) << " on " << kDeviceNames[int(p.on)];
}

std::map<std::string, Margin>& closest() {
  static std::map<std::string, Margin> m;
  return m;
}
/// One op's checks on a GPU.
struct OnGpu {
  std::string kernel;
  int all = 0, run = 0, failed = 0;
  double worst = 0;
};
std::map<std::string, OnGpu>& on_gpu() {
  static std::map<std::string, OnGpu> m;
  return m;
}

class Kernel : public testing::TestWithParam<Param> {};

TEST_P(Kernel, MatchesReference) {
  const auto& [c, on, dtype] = GetParam();
  if (on == On::cuda) {
    const std::string reason = cuda_unavailable_reason();
    if (!reason.empty()) {
      if (gpu_required()) FAIL() << "TT_REQUIRE_GPU is set, but: " << reason;
      GTEST_SKIP() << reason;
    }
    ++on_gpu()[c.op].run;
    ++on_gpu()[c.op].failed;  // until it has passed
  }
  Stream stream = on == On::cpu    ? Stream::cpu()
                  : on == On::cuda ? Stream::cuda()
                                   : Stream::emulated(on == On::reversed);
  // Views that start anywhere, and where device bodies run also tensors as programs place them: other code reads those.
  for (const bool aligned : {false, true}) {
    if (aligned && (on == On::cpu || on == On::reversed)) continue;
    SCOPED_TRACE(aligned ? "aligned tensors" : "tensors an element off");
    CaseRun run(stream, dtype, CaseRun::Mode::test, 20260101);
    run.aligned = aligned;
    c.run(run);
    run.check_guards();
    for (const std::string& f : run.failures()) ADD_FAILURE() << f;
    if (on == On::cuda) on_gpu()[c.op].worst = std::max(on_gpu()[c.op].worst, run.margin().share);
    Margin& worst = closest()[c.op];
    if (run.margin().share > worst.share) worst = run.margin();
  }
  if (on == On::cuda) on_gpu()[c.op].failed -= !HasFailure();
}

std::vector<Param> params() {
  std::vector<Param> out;
  for (const OpCase& c : all_cases()) {
    if (!c.test) continue;
    on_gpu()[c.op].kernel = c.kernel;
    on_gpu()[c.op].all += int(c.dtypes.size());
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
  const std::filesystem::path folder = std::filesystem::path(TT_SOURCE_DIR) / "kernels";
  int seen = 0;
  for (const auto& f : std::filesystem::recursive_directory_iterator(folder)) {
    // kernels/device/ is what launches them.
    if (f.path().extension() != ".cu" || f.path().parent_path() == folder / "device") continue;
    ++seen;
    const std::filesystem::path room = f.path().parent_path();
    const std::string stem = f.path().stem();
    const std::string tested = stem == "reference" ? room.filename().string() : stem;
    EXPECT_TRUE(std::filesystem::exists(room / (tested + "_case.cpp")))
        << f.path() << " has no " << tested << "_case.cpp";
  }
  EXPECT_GT(seen, 20) << "kernels/ is not where it was";
}

class Report : public testing::Environment {
 public:
  void TearDown() override {
    for (const auto& [op, m] : closest())
      std::printf("closest margin %-24s %5.1f %%  %s\n", op.c_str(), 100 * m.share, m.where.c_str());
    int run = 0, all = 0;
    for (const auto& [op, g] : on_gpu()) {
      run += g.run;
      all += g.all;
    }
    std::printf("GPU: %d of %d checks ran%s\n", run, all, run < all ? ", CUDA kernels NOT verified" : "");
    const char* written = std::getenv("TT_GPU_LEDGER");
    const std::string path = written ? written : TT_SOURCE_DIR "/tests/gpu_ledger.tsv";
    GpuLedger ledger = read_ledger(path);
    if (written && run > 0) update(ledger), write_ledger(path, ledger);
    std::printf("%s", ledger_report(ledger, all_cases(), TT_SOURCE_DIR).c_str());
  }

 private:
  /// An op enters when all its checks ran and passed, and leaves when one failed.
  static void update(GpuLedger& ledger) {
    for (const auto& [op, g] : on_gpu()) {
      if (g.failed > 0) ledger.erase(op);
      if (g.failed > 0 || g.run < g.all) continue;
      ledger[op] = {g.kernel,
                    hash_of_sources(TT_SOURCE_DIR, g.kernel),
                    cuda_api::device_name(0),
                    cuda_api::driver_version(),
                    g.run,
                    g.worst,
                    today()};
    }
  }
};
const auto* const report = testing::AddGlobalTestEnvironment(new Report);

}  // namespace
}  // namespace telltale
