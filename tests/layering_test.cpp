// The house rules that a grep can keep: includes go down only, files stay short, launches and macros stay where they
// belong.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {
namespace fs = std::filesystem;

struct Line {
  std::string file, text;  // path below the source folder
  int number;
};

std::vector<Line> lines_of_sources() {
  std::vector<Line> out;
  for (const char* folder : {"kernels", "engine", "nets", "losses", "data", "weights", "tools", "tests"}) {
    const fs::path root = fs::path(TT_SOURCE_DIR) / folder;
    if (!fs::exists(root)) continue;
    for (const auto& f : fs::recursive_directory_iterator(root)) {
      const std::string ext = f.path().extension();
      if (ext != ".h" && ext != ".cpp" && ext != ".cu") continue;
      std::ifstream in(f.path());
      std::string text;
      for (int n = 1; std::getline(in, text); ++n)
        out.push_back({fs::relative(f.path(), TT_SOURCE_DIR).string(), text, n});
    }
  }
  return out;
}

std::string floor_of(const std::string& path) {
  if (path.starts_with("kernels/core/")) return "core";
  return path.substr(0, path.find('/'));
}

const std::map<std::string, std::set<std::string>>& may_include() {
  static const std::map<std::string, std::set<std::string>> m = {
      {"core", {"core"}},
      {"kernels", {"core", "kernels"}},
      {"engine", {"core", "kernels", "engine"}},
      {"nets", {"core", "kernels", "engine", "nets"}},
      {"losses", {"core", "kernels", "engine", "losses"}},
      {"data", {"core", "kernels", "engine", "data"}},
      {"weights", {"core", "kernels", "engine", "weights"}},
      {"tools", {"core", "kernels", "engine", "nets", "losses", "data", "weights", "tools"}},
      {"tests", {"core", "kernels", "engine", "nets", "losses", "data", "weights", "tools", "tests"}}};
  return m;
}

TEST(Layering, IncludesGoDownOnly) {
  const std::regex include("^\\s*#include \"([a-z_]+/[a-z0-9_/.]+)\"");
  int seen = 0;
  for (const Line& l : lines_of_sources()) {
    std::smatch m;
    if (!std::regex_search(l.text, m, include)) continue;
    ++seen;
    const std::string from = floor_of(l.file), to = floor_of(m[1]);
    const auto& allowed = may_include().at(from);
    EXPECT_TRUE(allowed.count(to)) << l.file << ":" << l.number << " reaches from " << from << " to " << to << ": "
                                   << l.text;
  }
  EXPECT_GT(seen, 100) << "the pattern no longer matches our includes";
}

TEST(Layering, KernelsIncludeNoOtherKernel) {
  const std::regex include("^\\s*#include \"kernels/([a-z0-9_]+)\\.h\"");
  // Reductions and casts serve everyone; attention's products and a fully connected layer are matrix products; what
  // NVIDIA's libraries can't fuse, they leave to pointwise kernels; a convolution may have a batch norm
  // inside, or its gate behind; relu keeps its mask in bits wherever it is fused;
  // preprocessing may write blocks of pixels.
  const std::set<std::string> shared = {"reduce",    "cast",       "matmul",    "pointwise",
                                        "batchnorm", "gated_conv", "relu_mask", "space_to_depth"};
  for (const Line& l : lines_of_sources()) {
    if (floor_of(l.file) != "kernels" || l.file.ends_with("_case.cpp")) continue;
    std::smatch m;
    if (!std::regex_search(l.text, m, include)) continue;
    const std::string other = m[1];
    const auto family = [](const std::string& stem) { return stem.substr(0, stem.find('_')); };  // conv, conv_ref, …
    EXPECT_TRUE(shared.count(other) || family(fs::path(l.file).stem()) == family(other))
        << l.file << ":" << l.number << ": " << l.text;
  }
}

TEST(Layering, FilesStayUnder400Lines) {
  std::map<std::string, int> lengths;
  for (const Line& l : lines_of_sources()) lengths[l.file] = l.number;
  for (const auto& [file, lines] : lengths) EXPECT_LE(lines, 400) << file;
}

TEST(Layering, OnlyLaunchHLaunches) {
  for (const Line& l : lines_of_sources()) {
    if (l.file == "kernels/core/launch.h" || l.file == "tests/layering_test.cpp") continue;
    EXPECT_EQ(l.text.find("<<<"), std::string::npos) << l.file << ":" << l.number;
  }
}

TEST(Layering, NoMacroBeyondTheFive) {
  const std::set<std::string> known = {"TT_HD", "TT_CHECK", "TT_CUDA_CHECK", "TT_DISPATCH", "TT_REGISTER_LOSS"};
  const std::regex define("^\\s*#define ([A-Za-z_0-9]+)");
  for (const Line& l : lines_of_sources()) {
    std::smatch m;
    if (!std::regex_search(l.text, m, define)) continue;
    const std::string name = m[1];
    // The implementation switches of single-header libraries are theirs.
    if (name.starts_with("STB") || name.ends_with("_IMPLEMENTATION")) continue;
    EXPECT_TRUE(known.count(name)) << l.file << ":" << l.number << " defines " << name;
  }
}

}  // namespace
