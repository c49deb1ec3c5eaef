// The ledger of GPU runs: what it keeps, and that it notices changed sources.
#include <gtest/gtest.h>

#include "tests/gpu_ledger.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class Ledger : public testing::Test {
 protected:
  Ledger() {
    fs::create_directories(root_ + "/kernels/core");
    write("kernels/core/launch.h", "// launches\n");
    write("kernels/core/idle.h", "// nobody includes this\n");
    write("kernels/wave.h", "#include \"kernels/core/launch.h\"\n");
    write("kernels/wave.cu", "#include \"kernels/wave.h\"\n");
    write("kernels/wave.cpp", "// the CPU's twin\n");
    write("kernels/wave_case.cpp", "#include \"kernels/core/idle.h\"\n");
    write("kernels/wave_cudnn.cpp", "#include \"kernels/wave.h\"\n");
    write("kernels/wave_back.cu", "// has its own case\n");
    write("kernels/wave_back_case.cpp", "\n");
  }
  ~Ledger() override { fs::remove_all(root_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(root_ + "/" + name) << text; }
  const std::string root_ = testing::TempDir() + "ledger_test";
};

TEST_F(Ledger, SourcesAreWhatDecidesTheDevicesResult) {
  EXPECT_EQ(device_sources(root_, "wave"),
            (std::set<std::string>{"kernels/core/launch.h", "kernels/wave.cu", "kernels/wave.h",
                                   "kernels/wave_case.cpp", "kernels/wave_cudnn.cpp"}));
  EXPECT_EQ(device_sources(root_, "wave_back"),
            (std::set<std::string>{"kernels/wave_back.cu", "kernels/wave_back_case.cpp"}));
}

TEST_F(Ledger, SaysStaleWhenAnIncludeChangesAndNeverWhenNoRowIsThere) {
  const std::vector<OpCase> cases = {{.op = "wave_up", .size = {}, .dtypes = {}, .run = {}, .kernel = "wave"},
                                     {.op = "wave_back", .size = {}, .dtypes = {}, .run = {}, .kernel = "wave_back"}};
  GpuLedger ledger;
  ledger["wave_up"] = {"wave", hash_of_sources(root_, "wave"), "NVIDIA H200", "580.1", 12, 0.5, "2026-11-20"};
  EXPECT_EQ(ledger_report(ledger, cases, root_),
            "ledger: a GPU verified 1 of 2 ops as they are today\nnever run on a GPU: wave_back\n");
  write("kernels/wave.cpp", "// changed: no matter\n");
  EXPECT_EQ(hash_of_sources(root_, "wave"), ledger["wave_up"].sources);
  write("kernels/core/launch.h", "// changed\n");
  EXPECT_EQ(ledger_report(ledger, cases, root_),
            "ledger: a GPU verified 0 of 2 ops as they are today\nstale: wave changed since NVIDIA H200, 2026-11-20\n"
            "never run on a GPU: wave_back\n");
}

TEST_F(Ledger, KeepsItsRowsInAFile) {
  const std::string path = root_ + "/ledger.tsv";
  EXPECT_TRUE(read_ledger(path).empty());
  GpuLedger ledger;
  ledger["wave_up"] = {"wave", "0123456789abcdef", "NVIDIA H200", "580.1", 12, 0.25, "2026-11-20"};
  write_ledger(path, ledger);
  const LedgerRow row = read_ledger(path).at("wave_up");
  EXPECT_EQ(row.kernel, "wave");
  EXPECT_EQ(row.gpu, "NVIDIA H200");
  EXPECT_EQ(row.checks, 12);
  EXPECT_EQ(row.worst, 0.25);
  EXPECT_EQ(row.date, "2026-11-20");
}

TEST(LedgerOfThisTree, EveryCaseKnowsItsKernelsSources) {
  for (const OpCase& c : all_cases()) {
    const std::set<std::string> files = device_sources(TT_SOURCE_DIR, c.kernel);
    EXPECT_TRUE(files.count("kernels/" + c.kernel + "_case.cpp")) << c.op << " of " << c.kernel;
    EXPECT_TRUE(std::any_of(files.begin(), files.end(), [](const std::string& f) { return f.ends_with(".cu"); }))
        << c.op << " of " << c.kernel << " has no device body";
  }
}

}  // namespace
}  // namespace telltale
