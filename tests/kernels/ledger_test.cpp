// The ledger of GPU runs: what it keeps, and that it notices changed sources.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/kernels/gpu_ledger.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class Ledger : public testing::Test {
 protected:
  Ledger() {
    for (const char* folder : {"base", "kernels/device", "kernels/conv/fast"})
      fs::create_directories(root_ + "/" + folder);
    write("base/check.h", "// throws\n");
    write("kernels/device/launch.h", "#include \"base/check.h\"\n");
    write("kernels/device/launch.cpp", "// implements it\n");
    write("kernels/device/idle.h", "// nobody includes this\n");
    write("kernels/wave.h", "#include \"kernels/device/launch.h\"\n");
    write("kernels/wave.cu", "#include \"kernels/wave.h\"\n");
    write("kernels/wave.cpp", "// the CPU's twin\n");
    write("kernels/wave_case.cpp", "#include \"kernels/wave.h\"\n");
    write("kernels/wave_back.cu", "// has its own case\n");
    write("kernels/wave_back_case.cpp", "\n");
    write("kernels/conv/conv.h", "#include \"kernels/device/launch.h\"\n");
    write("kernels/conv/fast/engine.cpp", "#include \"kernels/wave.h\"\n");
    write("kernels/conv/conv_case.cpp", "#include \"kernels/conv/conv.h\"\n");
    write("kernels/conv/norm_case.cpp", "\n");
  }
  ~Ledger() override { fs::remove_all(root_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(root_ + "/" + name) << text; }
  const std::string root_ =
      testing::TempDir() + "ledger_test_" + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(Ledger, SourcesAreAllThatACaseReaches) {
  const std::set<std::string> launch = {"base/check.h", "kernels/device/launch.cpp", "kernels/device/launch.h"};
  std::set<std::string> wave = launch;
  wave.insert({"kernels/wave.cpp", "kernels/wave.cu", "kernels/wave.h"});
  std::set<std::string> conv = wave;
  wave.insert("kernels/wave_case.cpp");
  EXPECT_EQ(device_sources(root_, "wave"), wave);
  EXPECT_EQ(device_sources(root_, "wave_back"),
            (std::set<std::string>{"kernels/wave_back.cu", "kernels/wave_back_case.cpp"}));
  conv.insert({"kernels/conv/conv.h", "kernels/conv/conv_case.cpp", "kernels/conv/fast/engine.cpp"});
  EXPECT_EQ(device_sources(root_, "conv/conv"), conv) << "a family is reached as a whole, but for its other cases";
}

TEST_F(Ledger, EveryReachedFileThatChangesMakesTheRowStale) {
  for (const std::string& file : device_sources(root_, "conv/conv")) {
    const std::string before = hash_of_sources(root_, "conv/conv");
    std::ofstream(root_ + "/" + file, std::ios::app) << "// changed\n";
    EXPECT_NE(hash_of_sources(root_, "conv/conv"), before) << file;
  }
}

TEST_F(Ledger, SaysStaleWhenAnIncludeChangesAndNeverWhenNoRowIsThere) {
  const std::vector<OpCase> cases = {{.op = "wave_up", .size = {}, .dtypes = {}, .run = {}, .kernel = "wave"},
                                     {.op = "wave_back", .size = {}, .dtypes = {}, .run = {}, .kernel = "wave_back"}};
  GpuLedger ledger;
  ledger["wave_up"] = {"wave", hash_of_sources(root_, "wave"), "NVIDIA H200", "580.1", 12, 0.5, "2026-11-20"};
  EXPECT_EQ(ledger_report(ledger, cases, root_),
            "ledger: a GPU verified 1 of 2 ops as they are today\nnever run on a GPU: wave_back\n");
  write("kernels/device/idle.h", "// changed: nobody includes it\n");
  EXPECT_EQ(hash_of_sources(root_, "wave"), ledger["wave_up"].sources);
  write("kernels/device/launch.h", "// changed\n");
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

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  for (char text[4096]; pipe && fgets(text, sizeof text, pipe);) out += text;
  return pipe && pclose(pipe) == 0 ? out : "";
}

// The compiler knows what each object was made from, the linker's symbols which objects call which: a case reaches what
// these say. device_sources reads the sources alone, so that it works where nothing was compiled; here it must miss
// none.
TEST(LedgerOfThisTree, CoversWhatTheCompilerSaysACaseReaches) {
  const std::string build = TT_BIN_DIR "/..";
  const std::string deps = output_of("ninja -C " + build + " -t deps 2>/dev/null");
  if (deps.empty()) GTEST_SKIP() << "NOT CHECKED: this build has no ninja record of what it was made from";
  const fs::path root = fs::canonical(TT_SOURCE_DIR);
  std::map<std::string, std::set<std::string>> made_from;  // object -> files of ours
  std::istringstream lines(deps);
  std::string object;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line[0] != ' ') object = line.substr(0, line.find(':'));
    if (!line.starts_with("    ")) continue;
    const std::string file = fs::relative((fs::path(build) / line.substr(4)).lexically_normal(), root);
    if (file.starts_with("kernels/") || file.starts_with("base/")) made_from[object].insert(file);
  }
  std::map<std::string, std::string> defined_in;              // symbol -> object
  std::map<std::string, std::vector<std::string>> undefined;  // object -> symbols
  for (const auto& [o, files] : made_from) {
    if (!o.starts_with("CMakeFiles/tt_kernels") && !o.starts_with("CMakeFiles/tt_base") &&
        !o.starts_with("CMakeFiles/tt_cases"))
      continue;
    std::istringstream symbols(output_of("nm -P " + build + "/" + o));
    for (std::string line; std::getline(symbols, line);) {
      std::istringstream words(line);
      std::string symbol, type;
      words >> symbol >> type;
      if (type == "U") undefined[o].push_back(symbol);
      if (type == "T") defined_in[symbol] = o;
    }
  }
  ASSERT_GT(defined_in.size(), 200u);
  int checked = 0;
  for (const auto& [o, files] : made_from) {
    const size_t at = o.find("/kernels/");
    if (!o.starts_with("CMakeFiles/tt_cases") || o.find("/case/") != std::string::npos) continue;
    const std::string kernel = o.substr(at + 9, o.rfind("_case.cpp") - at - 9);
    const std::set<std::string> ours = device_sources(TT_SOURCE_DIR, kernel);
    std::set<std::string> seen;
    std::vector<std::string> open = {o};
    while (!open.empty()) {
      const std::string next = open.back();
      open.pop_back();
      if (!seen.insert(next).second) continue;
      for (const std::string& symbol : undefined[next])
        if (const auto d = defined_in.find(symbol); d != defined_in.end()) open.push_back(d->second);
    }
    for (const std::string& reached : seen)
      for (const std::string& file : made_from[reached]) {
        EXPECT_TRUE(ours.count(file)) << kernel << " reaches " << file << " through " << reached;
        ++checked;
      }
  }
  EXPECT_GT(checked, 500);
}

}  // namespace
}  // namespace telltale
