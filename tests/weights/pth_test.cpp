// PyTorch's files: what the reader takes and refuses, byte by byte, and what the writer writes.
// tests/programs/check_pth.py does the same with PyTorch at the other end.
#include "weights/pth.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/byte_reader.h"
#include "base/check.h"
#include "tests/weights/pth_builder.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class PthTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              cat("telltale_pth_", ::getpid(), "_", testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name = "t.pth") const { return folder_ / name; }
  void put(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }
  /// Expects a refusal of these bytes, in under a second of this process, whose text holds the path and `reason`.
  void refuse(const std::string& bytes, const std::string& reason) const {
    SCOPED_TRACE(reason);
    put(bytes);
    const std::clock_t start = std::clock();
    try {
      WeightsFile::open(path());
      ADD_FAILURE() << "accepted, expected: " << reason;
    } catch (const DataError& e) {
      EXPECT_NE(std::string(e.what()).find(reason), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find(path()), std::string::npos) << e.what();
    }
    EXPECT_LT(std::clock() - start, CLOCKS_PER_SEC);
  }
  void refuse_pickle(const std::string& pickle, const std::string& reason) const {
    refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", std::string(24, '\0')}}), reason);
  }
  std::vector<double> read(const std::string& bytes, const std::string& name) const {
    put(bytes);
    const WeightsFile file = WeightsFile::open(path());
    return require(file.state_dict(), name).read();
  }

  fs::path folder_;
};

const std::string kSix = floats({0, 1, 2, 3, 4, 5});

TEST_F(PthTest, ReadsBothForms) {
  const std::string pickle = dict({{"w", tensor("0", 6, 0, {2, 3}, {3, 1})}});
  for (const std::string& bytes :
       {zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}), legacy(pickle, {{"0", 6, kSix}})}) {
    put(bytes);
    const WeightsFile file = WeightsFile::open(path());
    const StateDict tensors = file.state_dict();
    ASSERT_EQ(tensors.size(), 1u);
    EXPECT_EQ(tensors[0].info.name, "w");
    EXPECT_EQ(tensors[0].info.shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(tensors[0].info.dtype, FileDType::f32);
    EXPECT_EQ(tensors[0].read(), (std::vector<double>{0, 1, 2, 3, 4, 5}));
  }
}

TEST_F(PthTest, HonoursStridesOffsetsAndSharing) {
  const std::string pickle = dict({{"t", tensor("0", 6, 0, {3, 2}, {1, 3})},
                                   {"row", tensor("0", 6, 3, {3}, {1})},
                                   {"column", tensor("0", 6, 1, {2}, {3})},
                                   {"expanded", tensor("0", 6, 5, {2, 2}, {0, 0})},
                                   {"scalar", tensor("0", 6, 4, {}, {})},
                                   {"none", tensor("0", 6, 0, {0, 3}, {3, 1})},
                                   {"one", parameter(tensor("0", 6, 2, {1, 1}, {7, 9}))}});
  const std::string bytes = zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}});
  EXPECT_EQ(read(bytes, "t"), (std::vector<double>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(read(bytes, "row"), (std::vector<double>{3, 4, 5}));
  EXPECT_EQ(read(bytes, "column"), (std::vector<double>{1, 4}));
  EXPECT_EQ(read(bytes, "expanded"), (std::vector<double>{5, 5, 5, 5}));
  EXPECT_EQ(read(bytes, "scalar"), std::vector<double>{4});
  EXPECT_EQ(read(bytes, "none"), std::vector<double>{});
  EXPECT_EQ(read(bytes, "one"), std::vector<double>{2});
  std::vector<unsigned char> scratch;
  const WeightsFile file = WeightsFile::open(path());
  const StateDict tensors = file.state_dict();
  const auto rows = require(tensors, "t").stored(scratch);
  EXPECT_EQ(std::string(rows.begin(), rows.end()), floats({0, 3, 1, 4, 2, 5}));
}

TEST_F(PthTest, ReadsEveryDtype) {
  const auto one = [&](const std::string& type, const auto value) {
    const std::string bytes(reinterpret_cast<const char*>(&value), sizeof value);
    return read(zip({{"a/data.pkl", dict({{"x", tensor("0", 1, 0, {1}, {1}, type)}})}, {"a/data/0", bytes}}), "x");
  };
  EXPECT_EQ(one("DoubleStorage", 0.1), std::vector<double>{0.1});
  EXPECT_EQ(one("FloatStorage", 1.5f), std::vector<double>{1.5});
  EXPECT_EQ(one("HalfStorage", uint16_t(0x3c01)), std::vector<double>{1 + 0x1p-10});
  EXPECT_EQ(one("BFloat16Storage", uint16_t(0x3f81)), std::vector<double>{1 + 0x1p-7});
  EXPECT_EQ(one("LongStorage", int64_t(-7)), std::vector<double>{-7});
  EXPECT_EQ(one("IntStorage", int32_t(-3)), std::vector<double>{-3});
  EXPECT_EQ(one("ShortStorage", int16_t(-300)), std::vector<double>{-300});
  EXPECT_EQ(one("CharStorage", int8_t(-3)), std::vector<double>{-3});
  EXPECT_EQ(one("ByteStorage", uint8_t(200)), std::vector<double>{200});
  EXPECT_EQ(one("BoolStorage", uint8_t(1)), std::vector<double>{1});
}

TEST_F(PthTest, FindsTheDictionary) {
  const auto w = [](double offset) { return tensor("0", 6, int64_t(offset), {1}, {1}); };
  const auto found = [&](const std::string& pickle, const std::string& key = "") {
    put(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}));
    const Pth file = Pth::open(path(), key);
    return cat(file.found_under(), ":", require(file.state_dict(), "w").read()[0], ":", file.skipped().size());
  };
  const std::string inner = value_dict({{"w", w(1)}}), other = value_dict({{"w", w(2)}});
  EXPECT_EQ(found(dict({{"w", w(3)}, {"epoch", "K\x05"}})), ":3:1");
  EXPECT_EQ(found(dict({{"best_acc1", w(3)}, {"state_dict", inner}})), "state_dict:1:0");
  EXPECT_EQ(found(dict({{"D", other}, {"G", inner}})), "G:1:0");
  EXPECT_EQ(found(dict({{"epoch", "K\x05"}, {"weights", inner}})), "weights:1:0");
  EXPECT_EQ(found(dict({{"model", value_dict({{"state_dict", inner}})}})), "model.state_dict:1:0");
  EXPECT_EQ(found(dict({{"D", other}, {"G", inner}}), "D"), "D:2:0");
  EXPECT_EQ(found(dict({{"x", value_dict({{"y", inner}, {"z", other}})}}), "x.z"), "x.z:2:0");
  refuse_pickle(dict({{"epoch", "K\x05"}}), "no dictionary of tensors in it; its keys: epoch");
  EXPECT_THROW(Pth::open(path(), "nothing"), DataError);
}

TEST_F(PthTest, TakesPython2sOrderedDicts) {
  // OrderedDict([[name, tensor]]) with names as byte strings, and attributes (_metadata) set afterwards.
  const std::string pickle =
      start() + "ccollections\nOrderedDict\n](](U\x01w" + tensor("0", 6, 5, {1}, {1}) + "ee\x85R}U\x09_metadata}sb.";
  EXPECT_EQ(read(legacy(pickle, {{"0", 6, kSix}}), "w"), std::vector<double>{5});
}

TEST_F(PthTest, ReadsViewsOfStorages) {  // PyTorch 0.3's: elements 2 to 6 of storage 0
  const std::string view = "(" + text("0") + "K\x02K\x04t";
  const std::string pickle = dict({{"w", tensor("0", 6, 1, {3}, {1}, "FloatStorage", view)}});
  EXPECT_EQ(read(legacy(pickle, {{"0", 6, kSix}}), "w"), (std::vector<double>{3, 4, 5}));
  refuse(legacy(dict({{"w", tensor("0", 6, 2, {3}, {1}, "FloatStorage", view)}}), {{"0", 6, kSix}}),
         "outside its storage");
  refuse(legacy(dict({{"w", tensor("0", 6, 0, {1}, {1}, "FloatStorage", "(" + text("0") + "K\x02K\x05t")}}),
                {{"0", 6, kSix}}),
         "a view of elements 2 to 7");
}

TEST_F(PthTest, RunsNothing) {
  refuse_pickle(start() + "cos\nsystem\n(" + text("true") + "tR.", "it asks for os.system");
  refuse_pickle(start() + "c__builtin__\neval\n.", "it asks for __builtin__.eval");
  refuse_pickle(start() + "ctorch._utils\n_rebuild_tensor_v2.__globals__\n.", "it asks for");
  refuse_pickle(start() + "ctorch\nFloatStorage\n)R.", "is applied");
  refuse_pickle(start() + "K\x01)R.", "something else than a known function");
  refuse_pickle(start() + "(i__main__\nx\n.", "instruction 0x69");
  refuse_pickle(start() + "ctorch\nFloatStorage\n)\x81.", "something else than a known class");
  refuse_pickle(start() + "\x82\x01.", "instruction 0x82");
  refuse_pickle("\x80\x06.", "protocol 6");
  refuse_pickle("}.", "protocol 2");
  refuse_pickle("\x80\x04\x8c\x02os\x8c\x06system\x93.", "it asks for os.system");
  refuse_pickle("\x80\x04K\x01K\x02\x93.", "something else than texts");
  refuse_pickle("\x80\x05\x97.", "instruction 0x97");
}

TEST_F(PthTest, RefusesDamagedPickles) {
  refuse_pickle(start() + "}", "cut short");
  refuse_pickle(start() + ".", "stack is empty");
  refuse_pickle(start() + "}}.", "left over");
  refuse_pickle(start() + "(}.", "left over");
  refuse_pickle(start() + "}u.", "no mark");
  refuse_pickle(start() + "}X\xff\xff\xff\x7fx", "cut short");
  refuse_pickle(start() + "\x8b\xff\xff\xff\xff.", "cut short");
  refuse_pickle(start() + "h\x05.", "memo 5 was never put");
  refuse_pickle(start() + "K\x01K\x02s.", "stack is empty");
  refuse_pickle(start() + "K\x01K\x02K\x03s.", "filled as one");
  refuse_pickle(start() + "}(K\x01u.", "has no value");
  refuse_pickle(start() + "K\x01.", "not a dictionary");
  refuse_pickle(dict({{"w", tensor("9", 6, 0, {6}, {1})}}), "is not in the file");
  refuse_pickle(dict({{"w", "ctorch._utils\n_rebuild_tensor_v2\n)R"}}), "too few arguments");
  refuse_pickle(dict({{"w", parameter(parameter(tensor("0", 6, 0, {6}, {1})))}}), "something else than a tensor");
  refuse_pickle(dict({{"w", tensor("0", 6, 0, {6}, {1})}, {"w", tensor("0", 6, 0, {6}, {1})}}), "two tensors called");
}

TEST_F(PthTest, RefusesTensorsOutsideTheirStorage) {
  const auto bad = [&](int64_t offset, std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t elements = 6) {
    refuse_pickle(dict({{"w", tensor("0", elements, offset, shape, strides)}}), "\"w\": ");
  };
  bad(1, {6}, {1});
  bad(0, {2, 3}, {4, 1});
  bad(-1, {1}, {1});
  bad(6, {1}, {1});
  bad(0, {-6}, {1});
  bad(5, {6}, {-1});
  bad(0, {2, 3}, {3});
  bad(0, {INT64_MAX, 2}, {1, 1});
  bad(0, {3, 3}, {INT64_MAX, 1});
  bad(0, {2, 2}, {INT64_MAX, INT64_MAX});
  bad(0, {6}, {1}, 7);
  bad(0, {6}, {1}, int64_t(1) << 62);
  bad(INT64_MAX, {6}, {1});
}

TEST_F(PthTest, BoundsWhatASmallFileMayAskFor) {
  refuse_pickle(dict({{"w", tensor("0", 6, 0, {int64_t(1) << 40}, {0})}}), "far larger than the file");
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 20; ++i) many.push_back({cat("w", i), tensor("0", 6, 0, {1 << 20}, {0})});
  refuse_pickle(dict(many), "far larger than the file");
  refuse_pickle(start() + std::string(3'000'000, '}') + ".", "2000000 values");
  refuse_pickle(start() + std::string(3'000'000, '('), "cut short");
  refuse_pickle(start() + "]q\x01h\x01" + std::string("a."), "not a dictionary");  // a list that contains itself
  refuse_pickle(start() + "}q\x01" + text("a") + "h\x01s.", "no dictionary of tensors");
  refuse_pickle(start() + "}q\x01" + text("model") + "h\x01s.", "nested too deeply");
  // A list of a million pairs given to a million OrderedDicts.
  std::string pairs = start() + "](" + "K\x01K\x01\x86q\x02";
  for (int i = 0; i < 100'000; ++i) pairs += "h\x02";
  pairs += "e\x85q\x03";
  for (int i = 0; i < 100'000; ++i) pairs += "0ccollections\nOrderedDict\nh\x03R";
  refuse_pickle(pairs + ".", "2000000 values");
  // A dictionary whose million entries are one dictionary of a million entries.
  std::string wide = start() + "}q\x01(";
  for (int i = 0; i < 300'000; ++i) wide += "K\x01K\x01";
  wide += "u0}(" + text("k") + "q\x02h\x01";
  for (int i = 0; i < 300'000; ++i) wide += "h\x02h\x01";
  refuse_pickle(wide + "u.", "no dictionary of tensors");
}

TEST_F(PthTest, RefusesDamagedContainers) {
  const std::string pickle = dict({{"w", tensor("0", 6, 0, {2, 3}, {3, 1})}});
  const std::string good = zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}});
  for (size_t size : {size_t(4), size_t(30), good.size() / 2, good.size() - 1}) refuse(good.substr(0, size), "damaged");
  refuse(good + "x", "damaged");
  std::string flipped = good;
  flipped[good.find(kSix)] ^= 1;
  refuse(flipped, "checksum of \"a/data/0\" is wrong");
  refuse(zip({{"x", "y"}}), "no data.pkl");
  refuse(zip({{"a/data.pkl", pickle}, {"b/data.pkl", pickle}}), "two members called data.pkl");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data.pkl", pickle}}), "two members called \"a/data.pkl\"");
  refuse(zip({{"a/data.pkl", pickle}, {"b/data/0", kSix}}), "lies outside \"a/\"");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}, {"a/byteorder", "big"}}), "big-endian");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}, {"a/constants.pkl", ""}}), "TorchScript");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix.substr(1)}}), "has 23 bytes");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}, {.method = 8}), "is compressed");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}, {.flags = 1}), "is encrypted");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}, {.unpacked = 1u << 30}), "two sizes");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}, {.overlap = true}), "another name");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}, {.shift = 1u << 20}), "outside the archive");
  refuse(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}, {.members = 1}), "lists 2 members and says 1");

  const std::string old = legacy(pickle, {{"0", 6, kSix}});
  for (size_t size : {size_t(20), size_t(100), old.size() - 24, old.size() - 1})
    refuse(old.substr(0, size), "cut short");
  refuse(old + "x", "1 bytes after the last storage");
  refuse(legacy(pickle, {{"0", 5, kSix}}), "holds 5 elements, not 6");
  refuse(legacy(pickle, {{"0", ~uint64_t(0), kSix}}), "elements, not 6");
  refuse(legacy(pickle, {{"1", 6, kSix}}), "belongs to no tensor");
  refuse(legacy(pickle, {}), "is not in the file");
  refuse(legacy(pickle, {{"0", 6, kSix}, {"0", 6, kSix}}), "comes twice");
}

TEST_F(PthTest, NamesWhatIsNoWeightsFile) {
  refuse("\x1f\x8b\x08zzz", "gunzip");
  refuse("<!DOCTYPE html><html>", "web page");
  refuse("\x80\x03}q\x01.", "not one that torch.save wrote");
  refuse("version https://git-lfs.github.com/spec/v1\n", "Git LFS");
  refuse(std::string(257, 'x') + "ustar" + std::string(300, '\0'), "tar");
  refuse("PK", "zip");
  refuse("hello, these are no weights", "not a safetensors file");
}

/// The length that a safetensors file begins with may look like a pickle's, a zip's or gzip's first bytes.
TEST_F(PthTest, TellsSafetensorsByItsBrace) {
  for (const size_t length : {0x80, 0x280, 0x4b50, 0x8b1f, 0x13c}) {
    std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    header.resize(length, ' ');
    const std::string bytes = {char(length & 255), char(length >> 8), 0, 0, 0, 0, 0, 0};
    put(bytes + header + std::string(4, '\0'));
    const WeightsFile file = WeightsFile::open(path());
    EXPECT_STREQ(file.form(), "safetensors") << length;
    EXPECT_EQ(file.state_dict().size(), 1u) << length;
  }
}

TEST_F(PthTest, WritesWhatItReads) {
  const StateDict dict = {state_tensor("a.weight", {2, 3}, {0, 1, -2, 3.5, 1e-30, 5}),
                          state_tensor("scalar", {}, {-7}, FileDType::i64),
                          state_tensor("half", {2}, {0.5, 1 + 0x1p-7}, FileDType::bf16),
                          state_tensor("none", {0, 4}, {}), state_tensor("on", {2}, {1, 0}, FileDType::boolean)};
  write_weights(path(), dict, {{"net", "resnet18"}, {"note", "\"quoted\""}});
  const WeightsFile file = WeightsFile::open(path());
  EXPECT_STREQ(file.form(), "PyTorch zip");
  EXPECT_EQ(file.metadata(), (Metadata{{"net", "resnet18"}, {"note", "\"quoted\""}}));
  const StateDict again = file.state_dict();
  ASSERT_EQ(again.size(), dict.size());
  for (size_t i = 0; i < dict.size(); ++i) {
    EXPECT_EQ(again[i].info.name, dict[i].info.name);
    EXPECT_EQ(again[i].info.shape, dict[i].info.shape);
    EXPECT_EQ(again[i].info.dtype, dict[i].info.dtype);
    std::vector<unsigned char> ours, theirs;
    const auto a = stored_bytes(again[i], ours), b = stored_bytes(dict[i], theirs);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << dict[i].info.name;
  }
  EXPECT_THROW(write_weights(path("twice.pth"), {dict[0], dict[0]}), DataError);
  EXPECT_THROW(write_weights(path("t.onnx"), dict), UsageError);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

/// Beyond 4 GiB, or 65 534 members, an archive needs zip64: here as if 4 GiB were `narrow_end`.
TEST_F(PthTest, WritesZip64WhereItMust) {
  for (const uint64_t narrow_end : {0, 30, 150, 250, 300, 1 << 20}) {
    {
      AtomicFile file(path());
      ZipWriter writer(file, narrow_end);
      for (int i = 0; i < 4; ++i) writer.add(cat("a/", i), std::string(size_t(i) * 20, char('p' + i)));
      writer.finish();
      file.commit();
    }
    const MappedFile file(path());
    const auto archive = file.bytes();
    EXPECT_EQ(text_of(archive).find("PK\x06\x06") != std::string_view::npos, narrow_end < 1000) << narrow_end;
    const std::vector<ZipMember> members = read_zip(archive);
    ASSERT_EQ(members.size(), 4u) << narrow_end;
    for (int i = 0; i < 4; ++i) {
      const ZipMember& m = members[size_t(i)];
      EXPECT_EQ(text_of(m.bytes), std::string(size_t(i) * 20, char('p' + i))) << narrow_end;
      EXPECT_EQ(crc32_of(m.bytes), m.crc32);
      EXPECT_EQ((m.bytes.data() - archive.data()) % 64, 0);
    }
    for (size_t size = 0; size < archive.size(); ++size)
      EXPECT_THROW(read_zip(archive.first(size)), DataError) << narrow_end << ": " << size;
  }

  const int many = 70'000;
  {
    AtomicFile file(path());
    ZipWriter writer(file);
    for (int i = 0; i < many; ++i) writer.add(std::to_string(i), "");
    writer.finish();
    file.commit();
  }
  EXPECT_EQ(read_zip(MappedFile(path()).bytes()).size(), size_t(many));
}

/// Reading and writing look at one tensor at a time: stored ones take no memory at all.
TEST_F(PthTest, StreamsLargeFiles) {
  const int64_t each = 1 << 20;  // elements: 4 MB a tensor, 32 MB in all
  StateDict dict;
  for (int i = 0; i < 8; ++i)
    dict.push_back({{cat("w", i), FileDType::f32, {each}}, [&] { return std::vector<double>(size_t(each), 1.5); }});
  write_pth(path(), dict);
  const auto resident = [] {  // anonymous memory: the mapping's pages are the file's
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("RssAnon:")) return std::stol(line.substr(8));
    return 0L;
  };
  const long before = resident();
  long peak = before;
  const WeightsFile file = WeightsFile::open(path());
  StateDict tensors = file.state_dict();
  for (StateTensor& t : tensors)
    t.stored = [&, stored = t.stored](std::vector<unsigned char>& scratch) {
      peak = std::max(peak, resident());
      return stored(scratch);
    };
  write_safetensors(path("t.safetensors"), tensors);
  EXPECT_LT(peak - before, 1024) << "KiB of memory for stored tensors";
  EXPECT_EQ(Safetensors::open(path("t.safetensors")).read_f32("w7").at(12345), 1.5f);
}

}  // namespace
}  // namespace telltale
