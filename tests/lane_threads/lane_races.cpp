// Every kernel's cases with lanes as threads (lane_threads.h): no two touch the same number in one phase, and every
// barrier of a kernel is one whose absence would be found.
#include <cxxabi.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "kernels/case/op_case.h"
#include "kernels/device/launch.h"
#include "tests/lane_threads/lane_threads.h"

namespace telltale {

void PrintTo(const OpCase& c, std::ostream* out) { *out << c.op << " " << c.size; }

namespace {

using lane_threads::races;

/// Types whose code differs; f64 only checks others.
constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::f16};

std::vector<DType> types_of(const OpCase& c) {
  std::vector<DType> types;
  for (const DType t : kTypes)
    if (std::find(c.dtypes.begin(), c.dtypes.end(), t) != c.dtypes.end()) types.push_back(t);
  return types;
}

std::vector<std::string> run_case(const OpCase& c, DType type, bool aligned) {
  Stream stream = Stream::emulated();
  CaseRun run(stream, type, CaseRun::Mode::test, 20260101);
  run.aligned = aligned;
  c.run(run);
  run.check_guards();
  return run.failures();
}

/// All but what takes seconds by its size alone: its ops have smaller cases.
std::vector<OpCase> tested() {
  std::vector<OpCase> cases = all_cases();
  std::erase_if(cases, [](const OpCase& c) {
    if (!c.test) return true;
    for (const char* size :
         {"[300,1,1,3]", "[1,1,1,4099]", "[1,1,3,1064]", "[1,24,24,64]", "[2,25,23,32]", "[1,23,25,64]", "[1,28,40,32]",
          "[1,12,50,33]", "[4,12,12,64]", "[3,6,14,8]", "[1,16,16,7]", "[2,8,12,5]", "[1,10,10,17]", "[1,10,12,64]",
          "[2,8,8,64]", "[1,7,7,600] relu"})
      if (c.size.starts_with(size)) return true;
    return false;
  });
  return cases;
}

class LaneRaces : public testing::TestWithParam<std::tuple<int, OpCase>> {};

/// One type and alignment a case, in turn: an op has several, and all take minutes.
TEST_P(LaneRaces, None) {
  const auto& [index, c] = GetParam();
  const std::vector<DType> types = types_of(c);
  if (types.empty()) return;
  const int before = races();
  const DType type = types[size_t(index) / 2 % types.size()];
  for (const std::string& f : run_case(c, type, index % 2 == 0)) ADD_FAILURE() << name_of(type) << ": " << f;
  EXPECT_EQ(races(), before) << "ThreadSanitizer says above where";
}

std::vector<std::tuple<int, OpCase>> numbered() {
  std::vector<std::tuple<int, OpCase>> all;
  for (const OpCase& c : tested()) all.emplace_back(int(all.size()), c);
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, LaneRaces, testing::ValuesIn(numbered()), [](const auto& info) {
  const OpCase& c = std::get<1>(info.param);
  std::string s = c.op + "_" + c.size;
  for (char& ch : s)
    if (!std::isalnum(static_cast<unsigned char>(ch))) ch = '_';
  return s + "_" + std::to_string(info.index);
});

/// "FoldSlabs" of its type's mangled name.
std::string template_name(const std::string& mangled) {
  int status = 0;
  char* const name = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  std::string s = name ? name : mangled;
  std::free(name);
  s.erase(std::min(s.find('<'), s.size()));
  return s.substr(s.rfind(':') + 1);
}

/// Whether a race is found when the lanes of a kernel run through one of its barriers.
bool is_missed(const OpCase& c, const std::string& kernel, int barrier) {
  const pid_t child = fork();
  if (child == 0) {
    close(STDERR_FILENO);
    lane_threads::leave_out(kernel, barrier);
    lane_threads::end_at_race();
    run_case(c, types_of(c)[0], true);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << kernel << " " << barrier;
  return WEXITSTATUS(status) == lane_threads::kRaceFound;
}

/// Of each kernel that has any, but for those that nothing needs: the one behind the last phase; the one before it,
/// whose number the lane reads that wrote it, or which is a sum's own last one, for who sums again; where lanes sum
/// what they kept to themselves, the one before the sum; and between two sums, where one of two would do.
TEST(LaneBarriers, EveryOneIsMissed) {
  struct Where {
    OpCase c;
    std::string kernel;
    int barriers = 0;
  };
  std::map<std::string, Where> found;  // by template: the first case in which its lanes come to the most barriers
  std::map<std::string, int> of_op;
  for (const OpCase& c : tested()) {
    if (types_of(c).empty() || ++of_op[c.op] > 2) continue;
    lane_threads::forget_barriers();
    run_case(c, types_of(c)[0], true);
    for (const auto& [kernel, count] : lane_threads::barriers()) {
      Where& w = found[template_name(kernel)];
      if (count > w.barriers) w = {c, kernel, count};
    }
  }
  lane_threads::let_go();
  const std::map<std::string, std::set<int>> not_needed = {
      {"ColumnSums", {}}, {"FoldSlabs", {}},  {"ChannelMoments", {}},   {"ChannelStats", {}},          {"Dots", {0}},
      {"Total", {0}},     {"Normalise", {0}}, {"SoftmaxGradient", {0}}, {"MaskedSoftmax", {0, 10, 11}}};
  for (const auto& [name, idle] : not_needed) EXPECT_TRUE(found.contains(name)) << name << " has no barrier any more";
  for (const auto& [name, w] : found) {
    ASSERT_TRUE(not_needed.contains(name)) << name << " is not in the table above";
    EXPECT_GT(w.barriers, 6) << name;
    for (int i = 0; i < w.barriers - 2; ++i) {
      if (not_needed.at(name).contains(i)) continue;
      EXPECT_TRUE(is_missed(w.c, w.kernel, i))
          << name << ", barrier " << i << " of " << w.barriers << ": " << w.c.op << " " << w.c.size;
    }
  }
}

// What must be found, planted.

/// A lane reads in the phase in which its neighbour writes, which gives the same bits in either order.
struct SameBits {
  struct Shared {
    int v[64];
  };
  int* out;
  void operator()(const Block<64>& b, Shared& s) const {
    b.each([&](int t) { s.v[t] = 1; });
    b.each([&](int t) {
      s.v[t] = 1;
      out[t] = s.v[(t + 1) % 64];
    });
  }
};
/// Its lanes share nothing; its blocks do.
struct OneNumberForAll {
  struct Shared {};
  int* out;
  void operator()(const Block<64>& b, Shared&) const {
    b.each([&](int t) {
      if (t == 0) *out = 7;
    });
  }
};
/// What one lane keeps in a variable, another does not find there.
struct KeptByOneLane {
  struct Shared {};
  int* out;
  void operator()(const Block<64>& b, Shared&) const {
    int kept = -1;
    b.each([&](int t) {
      if (t == 0) kept = 7;
    });
    b.each([&](int t) { out[t] = kept; });
  }
};
struct LeavesEarly {
  struct Shared {};
  int* out;
  void operator()(const Block<64>& b, Shared&) const {
    auto number = b.lane(0);
    b.each([&](int t) { number[t] = t; });
    for (int i = 0; i < number[0] % 2; ++i) b.each([](int) {});
  }
};
struct NeverWritten {
  struct Shared {
    float v[64];
  };
  float* out;
  void operator()(const Block<64>& b, Shared& s) const {
    b.each([&](int t) { out[t] = s.v[t]; });
  }
};

template <class K, class T = int>
std::vector<T> run_blocks(int64_t grid = 1) {
  Stream s = Stream::emulated();
  std::vector<T> out(64, T(-1));
  launch<64>(s, grid, K{out.data()});
  return out;
}

class PlantedRaces : public testing::Test {
 protected:
  PlantedRaces() { lane_threads::let_go(); }  // before it forks
};
TEST_F(PlantedRaces, BetweenLanesWhateverTheBits) {
  EXPECT_EXIT((run_blocks<SameBits>(), std::exit(0)), testing::ExitedWithCode(lane_threads::kRaceFound), "data race");
}
TEST_F(PlantedRaces, BetweenBlocks) {
  EXPECT_EXIT((run_blocks<OneNumberForAll>(), std::exit(0)), testing::ExitedWithCode(0), "");
  EXPECT_EXIT((run_blocks<OneNumberForAll>(2), std::exit(0)), testing::ExitedWithCode(lane_threads::kRaceFound),
              "data race");
}
TEST_F(PlantedRaces, BetweenIndices) {
  const auto sum_up = [](int64_t step) {
    Stream s = Stream::emulated();
    std::vector<int> out(100);
    int* const to = out.data();
    for_each(s, 100, [=](int64_t i) { to[i] = to[std::min<int64_t>(i + step, 99)] + 1; });
    std::exit(0);
  };
  EXPECT_EXIT(sum_up(0), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(sum_up(1), testing::ExitedWithCode(lane_threads::kRaceFound), "data race");
}
TEST_F(PlantedRaces, ALanesVariablesAreItsOwn) {
  const std::vector<int> out = run_blocks<KeptByOneLane>();
  EXPECT_EQ(out[0], 7);
  EXPECT_EQ(out[1], -1);
}
TEST_F(PlantedRaces, ALaneThatMissesABarrier) { EXPECT_THROW(run_blocks<LeavesEarly>(), std::logic_error); }
TEST_F(PlantedRaces, SharedMemoryHoldsNothingAtFirst) {
  EXPECT_TRUE(std::isnan((run_blocks<NeverWritten, float>()[63])));
}

}  // namespace
}  // namespace telltale
