// safetensors: what the reader takes and refuses, and that the writer writes all or nothing.
#include "weights/safetensors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "base/atomic_file.h"
#include "base/check.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / cat("telltale_safetensors_", ::getpid(), "_",
                                              testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name = "t.safetensors") const { return folder_ / name; }
  std::string write_bytes(const std::string& bytes) const {
    std::ofstream(path(), std::ios::binary) << bytes;
    return path();
  }
  /// A file of this header and `values` zero bytes.
  std::string write_header(const std::string& header, size_t values = 0) const {
    return write_bytes(length(header.size()) + header + std::string(values, '\0'));
  }
  static std::string length(uint64_t n) {
    std::string s(8, '\0');
    std::memcpy(s.data(), &n, 8);
    return s;
  }
  /// Expects a refusal whose text holds the path and `reason`.
  void expect_refused(const std::string& reason) const {
    try {
      Safetensors::open(path());
      ADD_FAILURE() << "accepted, expected: " << reason;
    } catch (const DataError& e) {
      EXPECT_NE(std::string(e.what()).find(reason), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find(path()), std::string::npos) << e.what();
    }
  }
  void refuse(const std::string& header, size_t values, const std::string& reason) const {
    SCOPED_TRACE(header.substr(0, 1000));
    write_header(header, values);
    expect_refused(reason);
  }
  size_t files() const { return size_t(std::distance(fs::directory_iterator(folder_), fs::directory_iterator())); }

  fs::path folder_;
};

TEST_F(SafetensorsTest, ReadsEveryDtype) {
  const std::string header =
      R"({"__metadata__":{"kind":"net"},"d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
      R"("i":{"dtype":"I64","shape":[],"data_offsets":[8,16]},"f":{"dtype":"F32","shape":[1,2],"data_offsets":[16,24]},)"
      R"("j":{"dtype":"I32","shape":[1],"data_offsets":[24,28]},"h":{"dtype":"F16","shape":[1],"data_offsets":[28,30]},)"
      R"("b":{"dtype":"BF16","shape":[1],"data_offsets":[30,32]},"u":{"dtype":"U8","shape":[1],"data_offsets":[32,33]},)"
      R"("none":{"dtype":"F32","shape":[0,3],"data_offsets":[33,33]}}  )";
  std::string values;
  const auto append = [&](auto v) { values.append(reinterpret_cast<const char*>(&v), sizeof v); };
  append(0.1);
  append(int64_t(-7));
  append(1.5f);
  append(std::numeric_limits<float>::infinity());
  append(int32_t(-3));
  append(uint16_t(0x3c01));  // f16: 1 + 2^-10
  append(uint16_t(0x3f81));  // bf16: 1 + 2^-7
  append(uint8_t(200));
  write_bytes(length(header.size()) + header + values);
  const Safetensors s = Safetensors::open(path());
  EXPECT_EQ(s.metadata(), (Metadata{{"kind", "net"}}));
  EXPECT_EQ(s.tensors().size(), 8u);
  EXPECT_EQ(s.read_f64("d"), std::vector<double>{0.1});
  EXPECT_EQ(s.read_f32("d"), std::vector<float>{0.1f});
  EXPECT_EQ(s.read_f64("i"), std::vector<double>{-7});
  EXPECT_EQ(s.info("i").shape.size(), 0u);
  EXPECT_EQ(s.read_f32("f"), (std::vector<float>{1.5f, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(s.read_f64("j"), std::vector<double>{-3});
  EXPECT_EQ(s.read_f64("h"), std::vector<double>{1 + 0x1p-10});
  EXPECT_EQ(s.read_f32("b"), std::vector<float>{1 + 0x1p-7f});
  EXPECT_EQ(s.read_f32("u"), std::vector<float>{200});
  EXPECT_TRUE(s.read_f32("none").empty());
  EXPECT_FALSE(s.contains("x"));
  EXPECT_THROW(s.read_f32("x"), DataError);
}

TEST_F(SafetensorsTest, RefusesWhatIsNotSafetensors) {
  expect_refused("cannot open");
  write_bytes("");
  expect_refused("only 0 bytes");
  write_bytes("1234567");
  expect_refused("only 7 bytes");
  write_bytes(length(100'000'001) + "{}");
  expect_refused("a header of 100000001 bytes");
  write_bytes(length(~uint64_t(0)) + "{}");
  expect_refused("a header of 18446744073709551615 bytes");
  write_bytes(length(3) + "{}");
  expect_refused("cut short");
  refuse(" {}", 0, "does not start with '{'");
  refuse("[]", 0, "does not start with '{'");
  refuse("", 0, "does not start with '{'");
  refuse("{", 0, "not JSON");
  refuse("{}x", 0, "not JSON");
  refuse(std::string("{}\0{", 4), 0, "holds a zero byte");
  refuse(R"({"a":"\xff"})", 0, "not JSON");
  refuse(R"({"a":[[[[[[1]]]]]]})", 0, "nested too deeply");
  refuse(R"({"a":1})", 0, "is not an object");
  refuse("{}", 1, "1 bytes after the last tensor");
  fs::remove(path());
  fs::create_directory(path());
  expect_refused("not a regular file");
}

TEST_F(SafetensorsTest, BoundsWhatAHeaderMayAskFor) {
  std::string many = "{";
  for (int i = 0; i < 400'000; ++i) many += cat(i ? "," : "", "\"", i, "\":{}");
  refuse(many + "}", 0, "has no dtype");  // at once: nlohmann's callbacks would take hours over this
  for (int i = 400'000; i < 600'000; ++i) many += cat(",\"", i, "\":{}");
  refuse(many + "}", 0, "more than 1000000 values");
  refuse(std::string(1'000'000, '{'), 0, "not JSON");
  refuse("{\"a\":" + std::string(1'000'000, '['), 0, "nested too deeply");
}

TEST_F(SafetensorsTest, RefusesBadMetadataAndDuplicates) {
  refuse(R"({"__metadata__":[]})", 0, "__metadata__ is not an object");
  refuse(R"({"__metadata__":{"a":1}})", 0, "\"a\" is not a string");
  refuse(R"({"__metadata__":{"a":"1","a":"2"}})", 0, "\"a\" is given twice");
  const std::string t = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  refuse(R"({"w":)" + t + R"(,"w":)" + t + "}", 1, "\"w\" is given twice");
  refuse(R"({"w":)" + t + R"(,"\u0077":)" + t + "}", 1, "\"w\" is given twice");
  refuse(R"({"w":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1, "\"dtype\" is given twice");
}

TEST_F(SafetensorsTest, RefusesBadTensors) {
  const auto one = [&](const std::string& body, const std::string& reason) {
    refuse("{\"w\":{" + body + "}}", 4, reason);
  };
  one(R"("shape":[1],"data_offsets":[0,4])", "has no dtype");
  one(R"("dtype":"F32","data_offsets":[0,4])", "has no shape");
  one(R"("dtype":"F32","shape":[1])", "has no data_offsets");
  one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"stride":[1])", "more than");
  one(R"("dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4])", "dtype F8_E4M3 is not supported");
  one(R"("dtype":"f32","shape":[1],"data_offsets":[0,4])", "not supported");
  one(R"("dtype":5,"shape":[1],"data_offsets":[0,4])", "dtype is not a string");
  one(R"("dtype":"F32","shape":1,"data_offsets":[0,4])", "shape is not an array");
  one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])", "whole numbers");
  one(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])", "whole numbers");
  one(R"("dtype":"F32","shape":["1"],"data_offsets":[0,4])", "whole numbers");
  one(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4])", "whole numbers");
  one(R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])", "overflows");
  one(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,4])", "overflows");
  one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", "needs 8 bytes, data_offsets give 4");
  one(R"("dtype":"F32","shape":[],"data_offsets":[0,0])", "needs 4 bytes");
  one(R"("dtype":"F32","shape":[1],"data_offsets":[0])", "not [begin, end]");
  one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])", "not [begin, end]");
  one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])", "backwards");
  one(R"("dtype":"F32","shape":[1],"data_offsets":[-4,0])", "whole numbers");
  one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", "cut short");
  one(R"("dtype":"U8","shape":[3],"data_offsets":[1,4])", "a hole of 1 bytes");
  one(R"("dtype":"U8","shape":[3],"data_offsets":[0,3])", "1 bytes after the last tensor");
  const std::string first = R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],)";
  refuse(first + R"("data_offsets":[2,4]}})", 4, "overlaps");
  refuse(first + R"("data_offsets":[0,2]}})", 3, "overlaps");
  refuse(first + R"("data_offsets":[4,6]}})", 6, "a hole of 1 bytes before \"b\"");
}

TEST_F(SafetensorsTest, RoundTrip) {
  const std::vector<double> w = {1, -2.5, 0x1p-20, 3e30f, 0.1f, -0.0};
  const StateDict dict = {state_tensor("u", {3}, {0, 128, 255}, FileDType::u8),
                          state_tensor("a\"\n\xc3\xa9", {2, 3}, w),
                          state_tensor("n", {}, {1234567890123}, FileDType::i64),
                          state_tensor("h", {2}, {1.0 / 3, 65504}, FileDType::f16),
                          state_tensor("b", {2}, {1.0 / 3, 1e38}, FileDType::bf16),
                          state_tensor("d", {1}, {1.0 / 3}, FileDType::f64),
                          state_tensor("i", {1}, {-5}, FileDType::i32),
                          state_tensor("none", {0}, {})};
  write_safetensors(path(), dict, {{"net", "resnet18"}, {"quote", "\"\\"}});
  EXPECT_EQ(files(), 1u) << "a temporary file was left";
  const Safetensors s = Safetensors::open(path());
  EXPECT_EQ(s.metadata(), (Metadata{{"net", "resnet18"}, {"quote", "\"\\"}}));
  EXPECT_EQ(s.tensors().size(), dict.size());
  EXPECT_EQ(s.tensors()[0].name, "n");  // 8-byte types first
  EXPECT_EQ(s.read_f64("a\"\n\xc3\xa9"), w);
  EXPECT_TRUE(std::signbit(s.read_f32("a\"\n\xc3\xa9")[5]));
  EXPECT_EQ(s.info("a\"\n\xc3\xa9").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(s.read_f64("n"), std::vector<double>{1234567890123});
  EXPECT_EQ(s.read_f64("u"), (std::vector<double>{0, 128, 255}));
  EXPECT_EQ(s.read_f64("d"), std::vector<double>{1.0 / 3});
  EXPECT_NEAR(s.read_f64("h")[0], 1.0 / 3, 0x1p-12);
  EXPECT_EQ(s.read_f64("h")[1], 65504);
  EXPECT_NEAR(s.read_f64("b")[0], 1.0 / 3, 0x1p-9);
  for (const TensorInfo& t : s.tensors())
    EXPECT_EQ(reinterpret_cast<uintptr_t>(s.bytes(t.name).data()) % size_of(t.dtype), 0u) << t.name;
  // Through a state dict and out again: the same bytes.
  write_safetensors(path("again"), s.state_dict(), s.metadata());
  std::ifstream a(path(), std::ios::binary), b(path("again"), std::ios::binary);
  EXPECT_TRUE(std::equal(std::istreambuf_iterator<char>(a), {}, std::istreambuf_iterator<char>(b), {}));
}

TEST_F(SafetensorsTest, EmptyFile) {
  write_safetensors(path(), {});
  EXPECT_TRUE(Safetensors::open(path()).tensors().empty());
}

TEST_F(SafetensorsTest, WriterRefusesAndLeavesTheOldFile) {
  write_safetensors(path(), {state_tensor("w", {1}, {1})});
  EXPECT_THROW(write_safetensors(path(), {state_tensor("w", {1}, {2}), state_tensor("w", {1}, {2})}), DataError);
  EXPECT_THROW(write_safetensors(path(), {state_tensor("__metadata__", {1}, {2})}), DataError);
  EXPECT_THROW(write_safetensors(path(), {state_tensor("w", {2}, {2})}), DataError);
  EXPECT_THROW(write_safetensors(path("no/such/folder"), {}), DataError);
  EXPECT_EQ(files(), 1u) << "a temporary file was left";
  EXPECT_EQ(Safetensors::open(path()).read_f64("w"), std::vector<double>{1});
}

TEST_F(SafetensorsTest, FullDiskIsAnError) {
  // A limit on file size fails write() as a full disk does, and needs no mount.
  struct rlimit old;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  struct rlimit small = old;
  small.rlim_cur = 4096;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string what;
  try {
    write_safetensors(path(), {state_tensor("w", {4096}, std::vector<double>(4096))});
  } catch (const DataError& e) {
    what = e.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(what.find("cannot write"), std::string::npos) << what;
  EXPECT_NE(what.find(path()), std::string::npos) << what;
  EXPECT_EQ(files(), 0u) << "a temporary file was left";
}

TEST_F(SafetensorsTest, AtomicFileNeverShowsAHalf) {
  write_atomically(path(), "old");
  std::string text;
  {
    AtomicFile file(path());
    file.write("half of the ");
    std::getline(std::ifstream(path()), text);
    EXPECT_EQ(text, "old");
  }  // not committed
  EXPECT_EQ(files(), 1u);
  std::getline(std::ifstream(path()), text);
  EXPECT_EQ(text, "old");
  write_atomically(path(), "new");
  std::getline(std::ifstream(path()), text);
  EXPECT_EQ(text, "new");
}

TEST(StateDictTest, FindsAndStripsPrefix) {
  const StateDict wrapped = {state_tensor("module.a", {1}, {1}), state_tensor("module.b", {1}, {2})};
  const StateDict dict = without_wrapper_prefix(wrapped);
  EXPECT_EQ(require(dict, "b").read(), std::vector<double>{2});
  EXPECT_EQ(find(dict, "module.b"), nullptr);
  EXPECT_THROW(require(dict, "c"), DataError);
  // A net that has one layer called "module" among others keeps its name.
  EXPECT_NE(find(without_wrapper_prefix({wrapped[0], dict[1]}), "module.a"), nullptr);
  for (const std::string prefix : {"_orig_mod.", "model.", "module._orig_mod.", "model._orig_mod.module."}) {
    const StateDict both = {state_tensor(prefix + "a", {1}, {1}), state_tensor(prefix + "b", {1}, {2})};
    EXPECT_EQ(wrapper_prefix(both), prefix);
    EXPECT_EQ(without_wrapper_prefix(both)[1].info.name, "b");
  }
  EXPECT_EQ(wrapper_prefix({}), "");
}

TEST(StateDictTest, CountsWhatIsNotFinite) {
  const double inf = INFINITY, nan = NAN;
  for (const FileDType t : {FileDType::f64, FileDType::f32, FileDType::f16, FileDType::bf16})
    EXPECT_EQ(count_not_finite(state_tensor("a", {5}, {1, inf, -inf, nan, 60000}, t)), 3) << name_of(t);
  EXPECT_EQ(count_not_finite(state_tensor("a", {2}, {1, 2}, FileDType::i64)), 0);
}

}  // namespace
}  // namespace telltale
