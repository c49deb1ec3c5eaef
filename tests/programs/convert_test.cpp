// convert as users run it, and that every program takes PyTorch's files as they are.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/check.h"
#include "models/detector/detector.h"
#include "nets/nets.h"
#include "tests/engine/program_run.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class Convert : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              cat("telltale_convert_", ::getpid(), "_", testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ / name; }
  Outcome convert(const std::string& line) const { return Running("convert " + line, path("said")).wait(); }
  /// A small ResNet18's state_dict, seeded.
  StateDict resnet(int outputs) {
    Graph graph;
    graph.output(resnet18(graph, graph.input({1, 64, 64, 3}), {.outputs = outputs, .width = 0.125}));
    program_ = std::make_unique<Program>(graph, stream_, Options{.seed = 5});
    return params_dict(stream_, program_->params());
  }
  static std::string bytes_of(const StateTensor& t) {
    std::vector<unsigned char> scratch;
    const auto bytes = stored_bytes(t, scratch);
    return {bytes.begin(), bytes.end()};
  }
  static void expect_same(const StateDict& a, const StateDict& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const StateTensor& t : a) EXPECT_EQ(bytes_of(t), bytes_of(require(b, t.info.name))) << t.info.name;
  }

  fs::path folder_;
  Stream stream_ = Stream::cpu(1);
  std::unique_ptr<Program> program_;
};

TEST_F(Convert, ThereAndBack) {
  const StateDict net = resnet(5);
  write_pth(path("in.pth"), net);
  Outcome said = convert(path("in.pth") + " " + path("out.safetensors"));
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.err.find("resnet18 of 5 outputs"), std::string::npos) << said.err;
  said = convert(path("out.safetensors") + " " + path("back.pth"));
  EXPECT_EQ(said.code, 0) << said.err;
  const WeightsFile out = WeightsFile::open(path("out.safetensors")), back = WeightsFile::open(path("back.pth"));
  expect_same(net, out.state_dict());
  expect_same(net, back.state_dict());
  EXPECT_EQ(out.metadata().at("net"), "resnet18");
  EXPECT_EQ(out.metadata().at("width"), "0.125");
  EXPECT_EQ(out.metadata().at("source"), "in.pth");
  EXPECT_EQ(back.metadata(), out.metadata());
}

/// Half the bytes; filters within half an ulp of 16 bits, vectors as they were, and programs take it.
TEST_F(Convert, HalvesFilters) {
  StateDict net = resnet(5);
  write_safetensors(path("in.safetensors"), net, {});
  ASSERT_EQ(convert(path("in.safetensors") + " " + path("half.safetensors") + " --dtype f16").code, 0);
  const WeightsFile half = WeightsFile::open(path("half.safetensors"));
  const StateDict halves = half.state_dict();
  for (const StateTensor& t : net) {
    const StateTensor& got = require(halves, t.info.name);
    const bool halved = t.info.shape.size() > 1;
    EXPECT_EQ(got.info.dtype, halved ? FileDType::f16 : t.info.dtype) << t.info.name;
    const std::vector<double> want = t.read(), is = got.read();
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_NEAR(is[i], want[i], halved ? std::max(std::abs(want[i]), 6.2e-5) * 0x1p-11 : 0) << t.info.name;
    }
  }
  Detector detector(path("half.safetensors"), stream_, {});
  for (StateTensor& t : net) {
    if (t.info.name == "conv1.weight")
      t = {t.info, [n = t.info.numel()] { return std::vector<double>(size_t(n), 7e4); }, nullptr};
  }
  write_safetensors(path("large.safetensors"), net, {});
  const Outcome said = convert(path("large.safetensors") + " " + path("no.safetensors") + " --dtype f16");
  EXPECT_EQ(said.code, 1);
  EXPECT_NE(said.err.find("conv1.weight: 70000 does not fit F16"), std::string::npos) << said.err;
  EXPECT_FALSE(fs::exists(path("no.safetensors")));
}

TEST_F(Convert, DetectorsLoadEveryForm) {
  write_pth(path("bare.pth"), resnet(5));
  ASSERT_EQ(convert(path("bare.pth") + " " + path("ours.safetensors")).code, 0);
  Detector bare(path("bare.pth"), stream_, {}), ours(path("ours.safetensors"), stream_, {});
  EXPECT_EQ(bare.info().width, 0.125);
  std::vector<uint8_t> pixels(256 * 256 * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(i * 7 + i / 1000);
  EXPECT_EQ(bare.run(pixels, 1)[0].raw, ours.run(pixels, 1)[0].raw);
  EXPECT_NE(bare.run(pixels, 1)[0].raw, Verdict{}.raw);
  write_pth(path("classes.pth"), resnet(1000));
  try {
    Detector(path("classes.pth"), stream_, {});
    ADD_FAILURE() << "a classifier is no detector";
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find("resnet18 with 1000 outputs"), std::string::npos) << e.what();
  }
}

TEST_F(Convert, Lists) {
  StateDict net = resnet(1000);
  net.push_back(state_tensor("extra", {4}, {1, -1, 3, 1}, FileDType::f16));
  write_pth(path("in.pth"), net, {{"note", "made by a test"}});
  const Outcome said = convert("--list " + path("in.pth"));
  EXPECT_EQ(said.code, 0) << said.err;
  for (const char* text : {"conv1.weight", "[8,3,7,7]", "I64", "F16", "-1            3            1       1.4142",
                           "123 tensors", "PyTorch zip", "note: made by a test", "left over: extra [4]"})
    EXPECT_NE(said.out.find(text), std::string::npos) << text << " is not in\n" << said.out;
  net.pop_back();
  write_safetensors(path("in.safetensors"), net);
  EXPECT_NE(convert("--list " + path("in.safetensors")).out.find("net: resnet18, 1000 outputs"), std::string::npos);
}

TEST_F(Convert, RefusesInOneStepAndLeavesNothing) {
  StateDict net = resnet(5);
  write_pth(path("good.pth"), net);
  net.push_back(state_tensor("coarse.0.conv2d.weight", {8, 4, 5, 5}, std::vector<double>(800)));
  write_pth(path("mixture.pth"), net);
  const std::string good = content(path("good.pth"));
  std::ofstream(path("short.pth"), std::ios::binary) << good.substr(0, good.size() - 100);
  std::ofstream(path("page.pth")) << "<!DOCTYPE html>";
  const std::string out = " " + path("out.safetensors");
  struct Case {
    std::string line;
    int code;
    const char* says;
  };
  for (const Case& c :
       std::initializer_list<Case>{{path("mixture.pth") + out, 1, "left over: coarse.0.conv2d.weight"},
                                   {path("short.pth") + out, 1, "short.pth: the archive has no directory"},
                                   {path("page.pth") + out, 1, "web page"},
                                   {path("nowhere.pth") + out, 1, "cannot open"},
                                   {folder_.string() + out, 1, "not a regular file"},
                                   {path("good.pth") + out + " --key G", 1, "no dictionary under \"G\""},
                                   {path("good.pth") + " " + path("out.tflite"), 2, ".safetensors, .pth"},
                                   {path("good.pth"), 2, "nothing to do"},
                                   {path("good.pth") + out + " --power-iterations 3", 2, "converge"},
                                   {path("good.pth") + " " + path("none/out.pth"), 1, "there is no folder"}}) {
    const Outcome said = convert(c.line);
    EXPECT_EQ(said.code, c.code) << c.line;
    EXPECT_NE(said.err.find(c.says), std::string::npos) << c.line << "\n" << said.err;
    EXPECT_FALSE(fs::exists(path("out.safetensors"))) << c.line;
  }
  EXPECT_EQ(convert(path("mixture.pth") + out + " --any").code, 0);
}

TEST_F(Convert, WarnsOfAWrongDownload) {
  write_pth(path("vgg11-8a719046.pth"), resnet(5));
  const Outcome said = convert(path("vgg11-8a719046.pth") + " " + path("out.safetensors"));
  EXPECT_EQ(said.code, 0);
  EXPECT_NE(said.err.find("not that file, or damaged"), std::string::npos) << said.err;
}

/// The golden cases' generators, as somebody's .pth with their spectral norm in them.
TEST_F(Convert, FoldsSpectralNormAndVerifies) {
  const std::string golden = TT_SOURCE_DIR "/tests/golden/";
  for (const std::string how : {"one_step", "folded"}) {
    const std::string name = golden + "inpaint_" + how + ".safetensors";
    const Safetensors file = Safetensors::open(name);
    write_pth(path("raw.pth"), under_prefix(file.state_dict(), "param."));
    Outcome said = convert(path("raw.pth") + " --verify " + name);
    EXPECT_EQ(said.code, 0) << said.out << said.err;
    for (const std::string iterations : {"one", "converge"}) {
      said = convert(path("raw.pth") + " " + path("out.safetensors") + " --power-iterations " + iterations);
      EXPECT_EQ(said.code, 0) << said.err;
      for (const StateTensor& t : WeightsFile::open(path("out.safetensors")).state_dict())
        EXPECT_EQ(t.info.name.find(".module."), std::string::npos) << t.info.name;
      // Weights folded in one way do not compute what the other says.
      said = convert(path("out.safetensors") + " --verify " + name);
      EXPECT_EQ(said.code, (iterations == "one") == (how == "one_step") ? 0 : 1) << how << iterations << said.out;
    }
    EXPECT_EQ(convert(path("raw.pth") + " " + path("kept.pth") + " --power-iterations keep").code, 0);
    expect_same(under_prefix(file.state_dict(), "param."), WeightsFile::open(path("kept.pth")).state_dict());
  }
}

/// A .pth from the wild: compressed by its makers' own scheme, so a net of nobody else's.
TEST_F(Convert, ShowsAndRefusesWhatIsNoNetOfOurs) {
  const std::string file = TT_SOURCE_DIR "/../shared/weights/resnet18_pqf_compressed.pth";
  if (!fs::exists(file)) GTEST_SKIP() << "NOT CHECKED: no " << file;
  Outcome said = convert("--list " + file);
  EXPECT_EQ(said.code, 0) << said.err;
  for (const char* text : {"PyTorch legacy", "fc.codes_matrix", "I16", "[1000,128]", "F16", "closest is resnet18"})
    EXPECT_NE(said.out.find(text), std::string::npos) << text;
  said = convert(file + " " + path("out.safetensors"));
  EXPECT_EQ(said.code, 1);
  EXPECT_NE(said.err.find("closest is resnet18, but 100 tensor(s) do not fit it"), std::string::npos) << said.err;
  EXPECT_FALSE(fs::exists(path("out.safetensors")));
}

TEST_F(Convert, AgreesWithPyTorchBitForBit) {
  int code = 3;
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    const std::string line =
        cat(python, " ", TT_SOURCE_DIR, "/tests/programs/check_pth.py ", TT_BIN_DIR, "/convert ", folder_.string());
    if (code == 3) code = WEXITSTATUS(std::system(line.c_str()));
  }
  if (code == 3) GTEST_SKIP() << "NOT CHECKED: no python3 with PyTorch (tools/setup --with-torch)";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace telltale
