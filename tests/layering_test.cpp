// The house rules that a grep can keep: includes go down only, files stay short, launches and macros stay where they
// belong.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {
namespace fs = std::filesystem;

struct Line {
  std::string file, text;  // path below the source folder
  int number;
};

std::vector<Line> lines_of_sources() {
  std::vector<Line> out;
  for (const char* folder :
       {"base", "kernels", "engine", "nets", "losses", "data", "weights", "models", "tools", "tests"}) {
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

using Rooms = std::map<std::string, std::set<std::string>>;

/// tests/rooms.txt: by room, whom it may include.
const Rooms& rooms() {
  static const Rooms read = [] {
    Rooms m;
    std::ifstream in(fs::path(TT_SOURCE_DIR) / "tests/rooms.txt");
    for (std::string text; std::getline(in, text);) {
      const size_t colon = text.find(':');
      if (text.starts_with("#") || colon == std::string::npos) continue;
      std::set<std::string>& allowed = m[text.substr(0, colon)];
      std::istringstream words(text.substr(colon + 1));
      for (std::string word; words >> word;) allowed.insert(word);
    }
    return m;
  }();
  return read;
}

/// The longest room that is a prefix of the path; the path's folder when none is.
std::string room_of(const std::string& path) {
  for (fs::path p = fs::path(path).parent_path(); !p.empty(); p = p.parent_path())
    if (rooms().count(p.string())) return p.string();
  return fs::path(path).parent_path().string();
}

TEST(Layering, IncludesGoDownOnly) {
  const std::regex include("^\\s*#include \"([a-z_]+/[a-z0-9_/.]+)\"");
  std::map<std::pair<std::string, std::string>, int> seen;
  for (const Line& l : lines_of_sources()) {
    std::smatch m;
    if (!std::regex_search(l.text, m, include)) continue;
    const std::string from = room_of(l.file), to = room_of(m[1]);
    ASSERT_TRUE(rooms().count(from)) << l.file << " is in no room of tests/rooms.txt";
    ++seen[{from, to}];
    EXPECT_TRUE(from == to || rooms().at(from).count(to))
        << l.file << ":" << l.number << " reaches from " << from << " to " << to << ": " << l.text;
  }
  EXPECT_GT(seen.size(), 20u) << "the pattern no longer matches our includes";
  for (const auto& [room, allowed] : rooms()) {
    if (room == "tests") continue;
    for (const std::string& to : allowed)
      EXPECT_TRUE(seen.count({room, to}))
          << "tests/rooms.txt lets " << room << " include " << to << ", which it never does";
  }
}

TEST(Layering, KernelsIncludeNoOtherKernel) {
  const std::regex include("^\\s*#include \"kernels/([a-z0-9_/]+)\\.h\"");
  // Reductions and casts serve everyone; attention's products and a fully connected layer are matrix products; what
  // NVIDIA's libraries can't fuse, they leave to pointwise kernels; a convolution may have a batch norm
  // inside, or its gate behind; preprocessing may write blocks of pixels; AMX's tiles, which lie with convolutions,
  // multiply matrices as well.
  const std::set<std::string> shared = {"reduce",
                                        "cast",
                                        "matmul/matmul",
                                        "pointwise",
                                        "gated_conv",
                                        "space_to_depth",
                                        "norm/batchnorm",
                                        "norm/batchnorm_definition",
                                        "conv/amx/convolution",
                                        "conv/amx/sweep"};
  for (const Line& l : lines_of_sources()) {
    if (room_of(l.file) != "kernels" || l.file.ends_with("_case.cpp")) continue;
    std::smatch m;
    if (!std::regex_search(l.text, m, include) || room_of("kernels/" + m[1].str() + ".h") != "kernels") continue;
    const std::string other = m[1];
    // A folder is one family; of files that lie flat, those that share the first word are: pool, pool_max, …
    const auto family = [](const std::string& path) {
      return path.substr(0, path.find_first_of(path.find('/') == std::string::npos ? "_." : "/"));
    };
    EXPECT_TRUE(shared.count(other) || family(l.file.substr(std::string("kernels/").size())) == family(other))
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
    if (l.file == "kernels/device/launch.h" || l.file == "tests/layering_test.cpp") continue;
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
