// What stands beside tensors in people's PyTorch files, and the pickle protocols they come in.
#include "tests/data/data_fixture.h"
#include "tests/weights/pth_builder.h"
#include "weights/pth.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

const std::string kSix = floats({1, 2, 3, 4, 5, 6});

/// The tensor of that name in a file of these bytes.
std::vector<double> read(const std::string& bytes, const std::string& name) {
  const Folder folder;
  put(folder / "t.pth", bytes);
  return require(Pth::open(folder / "t.pth").state_dict(), name).read();
}

TEST(PthBeside, PassesOverWhatStandsBeside) {
  const std::string scalar = "cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + text("f8") + "\x89\x88tR" +
                             "(K\x03" + text("<") + "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + number(0) + "tb" +
                             "c_codecs\nencode\n(" + text("12345678") + text("latin1") + "tRtR";
  const std::string beside[] = {scalar,
                                "cargparse\nNamespace\n)\x81}(" + text("lr") + "K\x01ub",
                                "c__builtin__\nset\n](K\x01K\x02"
                                "e\x85R",
                                "ctorch\nfloat32\n",
                                "ctorch\ndevice\n" + text("cpu") + "\x85R",
                                "ccollections\nCounter\n}" + text("a") + "K\x02s\x85R",
                                "ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R(" + text("a") + "]u"};
  for (const std::string& value : beside) {
    const std::string pickle = dict({{"args", value}, {"w", tensor("0", 6, 0, {6}, {1})}});
    EXPECT_EQ(read(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}), "w"), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  }
}

// Tensors that are not read, as torch.save writes them: of 8-bit floats, quantised, sparse, without values.
TEST(PthBeside, TensorsOfOtherKindsStandBesideButNotAmong) {
  const auto storage = [](const std::string& type) {
    return "(" + text("storage") + "c" + type + "\n" + text("1") + text("cpu") + number(4) + "tQ";
  };
  const std::string place = number(0) + numbers({4}) + numbers({1}), none =
                                                                         "\x89"
                                                                         "ccollections\nOrderedDict\n)R";
  const std::string others[] = {
      "ctorch._utils\n_rebuild_tensor_v3\n(" + storage("torch.storage\nUntypedStorage") + place + none +
          "ctorch\nfloat8_e4m3fn\ntR",
      "ctorch._utils\n_rebuild_qtensor\n(" + storage("torch\nQInt8Storage") + place +
          "(ctorch\nper_tensor_affine\nG?\xb9\x99\x99\x99\x99\x99\x9aK\x01t" + none + "tR",
      "ctorch._utils\n_rebuild_sparse_tensor\n(ctorch.serialization\n_get_layout\n" + text("torch.sparse_coo") +
          "\x85R(NNNttR",
      "ctorch._utils\n_rebuild_meta_tensor_no_storage\n(ctorch\nfloat32\n" + numbers({3}) + numbers({1}) + "\x89tR"};
  for (const std::string& other : others) {
    const std::string w = tensor("0", 6, 0, {6}, {1});
    const auto file = [&](const std::string& pickle) {
      return zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}, {"a/data/1", "1234"}});
    };
    EXPECT_EQ(read(file(dict({{"state_dict", value_dict({{"w", w}})}, {"x", other}})), "w").size(), 6u);
    const std::string said = refusal([&] { read(file(dict({{"w", w}, {"x", other}})), "w"); });
    EXPECT_NE(said.find("\"x\": a tensor of a kind that is not read"), std::string::npos) << said;
  }
}

TEST(PthBeside, AnIndexIsNoShardOfItself) {
  const Folder folder;
  put(folder / "net.index.json", R"({"weight_map": {"w": "net.index.json"}})");
  EXPECT_NE(refusal([&] { WeightsFile::open(folder / "net.index.json"); }).find("is an index, too"), std::string::npos);
}

TEST(PthBeside, ReadsProtocolsThreeToFive) {
  const auto short_text = [](const std::string& s) { return "\x8c" + std::string(1, char(s.size())) + s + "\x94"; };
  const auto global = [&](const std::string& module, const std::string& name) {
    return short_text(module) + short_text(name) + "\x93\x94";
  };
  const std::string storage =
      "(" + short_text("storage") + global("torch", "FloatStorage") + short_text("0") + short_text("cpu") + "K\x06tQ";
  const std::string w = global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + number(0) +
                        "K\x06\x85K\x01\x85\x89" + global("collections", "OrderedDict") + ")R\x94tR\x94";
  for (const char protocol : {3, 4, 5}) {
    const std::string body = "}\x94(" + short_text("w") + w + short_text("seen") + "\x8f\x94(K\x01K\x02\x90" +
                             short_text("raw") + "C\x03\x01\x02\x03" + short_text("fixed") + "(K\x01\x91" +
                             (protocol == 5 ? short_text("buffer") + "\x96" + raw(uint64_t(2)) + "xy" : "") + "u.";
    const std::string pickle = std::string("\x80") + protocol + "\x95" + raw(uint64_t(body.size())) + body;
    EXPECT_EQ(read(zip({{"a/data.pkl", pickle}, {"a/data/0", kSix}}), "w"), (std::vector<double>{1, 2, 3, 4, 5, 6}))
        << int(protocol);
  }
}

TEST(PthBeside, NamesTheDictionariesBeside) {
  const std::string plain = value_dict({{"w", tensor("0", 6, 0, {6}, {1})}});
  const Folder folder;
  put(folder / "t.pth",
      zip({{"a/data.pkl", dict({{"ema", plain}, {"state_dict", plain}, {"epoch", number(3)}})}, {"a/data/0", kSix}}));
  const Pth file = Pth::open(folder / "t.pth");
  EXPECT_EQ(file.found_under(), "state_dict");
  EXPECT_EQ(file.others(), std::vector<std::string>{"ema"});
}

}  // namespace
}  // namespace telltale
