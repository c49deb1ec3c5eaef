// tools/scripts/register_table: what nvcc says of kernels, as a table, and what may not be.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/engine/program_run.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class RegisterTable : public testing::Test {
 protected:
  RegisterTable() { fs::create_directories(dir_); }
  ~RegisterTable() override { fs::remove_all(dir_); }
  /// As nvcc prints it.
  static std::string kernel(const std::string& name, const std::string& arch, int registers, int stack = 0,
                            int spilled = 0, int shared = 0) {
    return "ptxas info    : Compiling entry function '" + name + "' for '" + arch +
           "'\nptxas info    : Function properties for " + name + "\n    " + std::to_string(stack) +
           " bytes stack frame, " + std::to_string(spilled) + " bytes spill stores, " + std::to_string(spilled) +
           " bytes spill loads\nptxas info    : Function properties for __internal_accurate_pow\n" +
           "    64 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads\nptxas info    : Used " +
           std::to_string(registers) + " registers, used 1 barriers, " +
           (shared ? std::to_string(shared) + " bytes smem, " : "") + "448 bytes cmem[0]\n";
  }
  int run(const std::string& log) const {
    std::ofstream(dir_ + "/log") << log;
    const std::string command =
        TT_SOURCE_DIR "/tools/scripts/register_table " + dir_ + "/log " + dir_ + "/table >" + dir_ + "/said 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));
  }
  std::string said() const { return content(dir_ + "/said"); }
  std::string table() const { return content(dir_ + "/table"); }
  const std::string dir_ = testing::TempDir() + "register_table_" + std::to_string(getpid());
  // void telltale::for_each_kernel<telltale::Keep<float> >(long, telltale::Keep<float>) and
  // void telltale::block_kernel<128, telltale::Fold<float> >(telltale::Fold<float>)
  const std::string each_ = "_ZN8telltale15for_each_kernelINS_4KeepIfEEEEvlT_";
  const std::string block_ = "_ZN8telltale12block_kernelILi128ENS_4FoldIfEEEEvT0_";
};

TEST_F(RegisterTable, SaysHowManyBlocksAMultiprocessorHolds) {
  ASSERT_EQ(run(kernel(each_, "sm_80", 32) + kernel(each_, "sm_90", 33) + kernel(each_, "sm_100", 130) +
                kernel(block_, "sm_80", 20, 0, 0, 32768) + kernel(block_, "sm_90", 20, 0, 0, 32768)),
            0)
      << said();
  const std::string t = table();
  EXPECT_NE(t.find("sm_80\t256\t32\t0\t0\t0\t8\t1.000\tKeep<float>\n"), std::string::npos) << t;
  // 33 registers are 40 to a warp: 6 blocks of 256 lanes. 130 are 136: one.
  EXPECT_NE(t.find("sm_90\t256\t33\t0\t0\t0\t6\t0.750\tKeep<float>\n"), std::string::npos) << t;
  EXPECT_NE(t.find("sm_100\t256\t130\t0\t0\t0\t1\t0.125\tKeep<float>\n"), std::string::npos) << t;
  // Shared memory: 164 KiB hold four blocks of 33 KiB, 228 six.
  EXPECT_NE(t.find("sm_80\t128\t20\t32768\t0\t0\t4\t0.250\tFold<float>\n"), std::string::npos) << t;
  EXPECT_NE(t.find("sm_90\t128\t20\t32768\t0\t0\t6\t0.375\tFold<float>\n"), std::string::npos) << t;
  EXPECT_NE(said().find("12.5 %, 130 registers, 0 bytes shared: Keep<float>, sm_100"), std::string::npos) << said();
}

TEST_F(RegisterTable, RefusesSpillsAndStacks) {
  EXPECT_EQ(run(kernel(each_, "sm_80", 32) + kernel(block_, "sm_90", 255, 0, 8)), 1);
  EXPECT_NE(said().find("Fold<float>, sm_90: 16 bytes spilled"), std::string::npos) << said();
  EXPECT_EQ(run(kernel(each_, "sm_80", 32, 40)), 1);
  EXPECT_NE(said().find("Keep<float>, sm_80: 0 bytes spilled, a stack of 40"), std::string::npos) << said();
  EXPECT_EQ(run("nothing of the kind\n"), 1);
  EXPECT_NE(said().find("names no kernel"), std::string::npos) << said();
}

}  // namespace
}  // namespace telltale
