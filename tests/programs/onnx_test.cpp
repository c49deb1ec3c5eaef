// Nets as ONNX models: ONNX Runtime, where it is installed, computes from them what the engine does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/check.h"
#include "engine/program.h"
#include "kernels/device/buffer.h"
#include "kernels/device/host_values.h"
#include "models/detector/detector.h"
#include "models/locator/task.h"
#include "nets/nets.h"
#include "tests/data/data_fixture.h"
#include "tests/programs/readers.h"
#include "tests/values.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

struct Edge {
  std::string name;
  Value value;
};

/// A net with drawn weights, on disk as a weights file and as a case of what it makes of drawn inputs.
class Onnx : public ::testing::Test {
 protected:
  static constexpr int kBatch = 3;

  std::string path(const std::string& name) const { return folder_ / name; }

  /// Weights that let activations neither fade nor explode, and running statistics that are not the neutral ones; of
  /// a `rounding` above 0 with their last bits drawn anew.
  void draw_weights(Program& p, double gain, int rounding = 0) {
    for (const Param& param : p.params().all()) {
      std::vector<double> values = p.params().read(stream_, param);
      const std::string& name = param.spec.names[0];
      const std::vector<double> drawn = uniform_values(int64_t(values.size()), std::hash<std::string>{}(name));
      for (size_t i = 0; i < values.size(); ++i) {
        if (name.ends_with("running_var"))
          values[i] = 1 + 0.5 * drawn[i];
        else if (name.ends_with("running_mean") || name.ends_with("bias"))
          values[i] = 0.1 * drawn[i];
        else if (!param.spec.is_counter)
          values[i] *= gain;
      }
      for (double& v : values) v = double(float(v));  // as the weights file has them
      if (rounding > 0 && !param.spec.is_counter) {
        const std::vector<double> last_bits = uniform_values(int64_t(values.size()), uint64_t(rounding));
        for (size_t i = 0; i < values.size(); ++i) values[i] *= 1 + 0x1p-23 * last_bits[i];
      }
      p.params().write(stream_, param, values);
    }
    p.params_changed();
  }

  /// What the net makes of the inputs in a type, output by output.
  std::vector<std::vector<double>> computed(const Graph& graph, DType type, double gain,
                                            const std::vector<std::pair<Value, std::vector<double>>>& inputs,
                                            const std::vector<Edge>& outputs, int rounding = 0) {
    Program p(graph, stream_, {.compute = type, .seed = 3});
    draw_weights(p, gain, rounding);
    for (const Graph::Input& in : graph.inputs())
      fill_zero(stream_, p.tensor(in.value));  // what is not drawn: no flips
    for (const auto& [value, numbers] : inputs) {
      const Tensor t = p.tensor(value);
      const std::vector<uint8_t> bytes(numbers.begin(), t.dtype == DType::u8 ? numbers.end() : numbers.begin());
      t.dtype == DType::u8 ? upload(stream_, t, bytes.data()) : set_values(stream_, t, numbers);
    }
    p.forward();
    std::vector<std::vector<double>> results;
    for (const Edge& e : outputs) results.push_back(values_of(stream_, p.tensor(e.value)));
    return results;
  }

  void make_case(const Graph& graph, const std::vector<Edge>& inputs, const std::vector<Edge>& outputs,
                 const Metadata& metadata, double gain = 1, int roundings = 1) {
    Program p(graph, stream_, {.seed = 3});
    draw_weights(p, gain);
    write_weights(path("net.safetensors"), params_dict(stream_, p.params()), metadata);
    StateDict numbers;
    std::vector<std::pair<Value, std::vector<double>>> drawn;
    for (const Edge& e : inputs) {
      const Tensor t = p.tensor(e.value);
      std::vector<double> values = uniform_values(t.shape.numel(), std::hash<std::string>{}(e.name));
      const auto width = size_t(t.shape.w);
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = double(float(values[i]));
        if (t.dtype == DType::u8) values[i] = std::floor(127.5 * (values[i] + 1));
        if (e.name == "mask") values[i] = i % width > width / 3 && i % width < width / 2;
      }
      drawn.emplace_back(e.value, values);
      numbers.push_back(of(e.name, t, std::move(values)));
    }
    const auto f64 = computed(graph, DType::f64, gain, drawn, outputs);
    own_error_ = 0;
    // The largest error of one run is chance, and another processor's another: that of several says what f32 makes.
    for (int rounding = 0; rounding < roundings; ++rounding) {
      const auto f32 = computed(graph, DType::f32, gain, drawn, outputs, rounding);
      for (size_t k = 0; k < outputs.size(); ++k)
        for (size_t i = 0; i < f32[k].size(); ++i) own_error_ = std::max(own_error_, std::abs(f32[k][i] - f64[k][i]));
    }
    for (size_t k = 0; k < outputs.size(); ++k)
      numbers.push_back(of(outputs[k].name, p.tensor(outputs[k].value), f64[k]));
    write_weights(path("case.safetensors"), numbers);
  }

  static StateTensor of(const std::string& name, const Tensor& t, std::vector<double> values) {
    const Shape& s = t.shape;
    const bool flat = s.h == 1 && s.w == 1;
    return state_tensor(name, flat ? std::vector<int64_t>{s.n, s.c} : std::vector<int64_t>{s.n, s.h, s.w, s.c},
                        std::move(values), t.dtype == DType::u8 ? FileDType::u8 : FileDType::f32);
  }

  /// Largest difference from the engine's f64, which is within `limit` of the largest magnitude (of 1 where that is
  /// less), or twice as large as that of the engine's f32; skips without ONNX Runtime.
  void expect_same(double limit, const std::string& options = "") {
    Outcome said =
        Running(cat("convert --quiet ", path("net.safetensors"), " ", path("net.onnx"), " ", options), path("said"))
            .wait();
    ASSERT_EQ(said.code, 0) << said.err;
    said = read_by_python(cat("read_onnx.py ", path("net.onnx"), " ", path("case.safetensors")), path("read"));
    if (said.code == 77) GTEST_SKIP() << said.out;
    ASSERT_EQ(said.code, 0) << said.out << said.err;
    std::istringstream lines(said.out);
    std::string name;
    double difference = 0, largest = 0;
    ASSERT_TRUE(lines >> name >> difference >> largest) << said.out;
    std::printf("%s: %.2g of %.3g; the engine's f32 %.2g\n", name.c_str(), difference, largest, own_error_);
    EXPECT_GT(largest, 1e-3) << "the net says nothing";
    // A softmax over patches stands in a generator: what rounding makes of that is measured, on the engine's own f32.
    EXPECT_LT(difference, std::max(limit * std::max(1.0, largest), 2 * own_error_));
  }

  void make_detector(const std::string& net, int size) {
    const DetectorInfo info{.net = net, .width = 0.25, .size = size};
    PictureGraph d = detector_graph(info, kBatch, size, 0);
    Metadata metadata = detector_metadata(info);
    make_case(d.graph, {{"pixels", d.pixels}}, {{"raw", d.heads[0]}}, metadata);
  }
  void make_locator(const LocatorInfo& info) {
    PictureGraph l = locator_graph(info, {kBatch, 64, 96, 3});
    make_case(l.graph, {{"pixels", l.pixels}}, {{"logits", l.heads[0]}},
              {{"kind", "locator"},
               {"net", info.net},
               {"width", cat(info.width)},
               {"residuals", cat(info.residuals)},
               {"bayar", cat(info.bayar)}});
  }
  void make_generator(const std::string& family) {
    Graph graph;
    const Value image = graph.input({kBatch, 64, 64, 3}), mask = graph.input({kBatch, 64, 64, 1});
    const Inpainted painted = generator_net(family).build(graph, image, mask, 8);
    constexpr double kGain = 1.7;  // against the gates, which halve what passes
    constexpr int kRoundings = 4;  // a softmax over patches stands in it
    make_case(graph, {{"image", image}, {"mask", mask}}, {{"painted", painted.refined}}, {}, kGain, kRoundings);
  }

  Folder folder_;
  Stream stream_ = Stream::cpu(2);
  double own_error_ = 0;  ///< the largest difference of the engine's f32 from its f64, of any rounding of the weights
};

TEST_F(Onnx, DetectorsSayTheSame) {
  for (const char* net : {"resnet18", "resnet50", "alexnet", "vgg11"}) {
    SCOPED_TRACE(net);
    make_detector(net, 128);
    expect_same(1e-5);
  }
}

TEST_F(Onnx, LocatorsSayTheSameOfPicturesOfAnySize) {
  for (const LocatorInfo& info : {LocatorInfo{"locator", 8, true}, LocatorInfo{"locator", 8, false},
                                  LocatorInfo{"locator", 8, true, true}, LocatorInfo{"resnet18_locator", 8}}) {
    make_locator(info);
    expect_same(1e-5);
  }
}

TEST_F(Onnx, ANetThatCannotBeExportedSaysWhy) {
  make_locator({"trace_locator", 12, true});
  const Outcome said =
      Running(cat("convert --quiet ", path("net.safetensors"), " ", path("net.onnx")), path("said")).wait();
  EXPECT_EQ(said.code, 1);
  EXPECT_NE(said.err.find("coefficients: "), std::string::npos) << said.err;
  EXPECT_EQ(said.err_lines(), 1);
  EXPECT_FALSE(std::filesystem::exists(path("net.onnx")));
}

TEST_F(Onnx, GeneratorsPaintTheSame) {
  for (const char* family : {"csqiangwen", "official", "official_torch"}) {
    SCOPED_TRACE(family);
    make_generator(family);
    expect_same(1e-5, "--size 64");
  }
}

TEST_F(Onnx, HalfTheBytesOnRequest) {
  make_detector("resnet18", 128);
  expect_same(1e-5);
  const auto whole = std::filesystem::file_size(path("net.onnx"));
  expect_same(1e-2, "--dtype f16");
  EXPECT_LT(std::filesystem::file_size(path("net.onnx")), whole * 6 / 10);
}

TEST_F(Onnx, WhatIsNoNetOrNoModelOfOursIsRefused) {
  const auto convert = [&](const std::string& words) {
    return Running("convert --quiet " + words, path("said")).wait();
  };
  write_weights(path("other.safetensors"), {state_tensor("a", {2}, {1, 2})});
  const Outcome unknown = convert(path("other.safetensors") + " " + path("net.onnx"));
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.err.find("other.safetensors"), std::string::npos) << unknown.err;
  EXPECT_FALSE(std::filesystem::exists(path("net.onnx")));
  put(path("theirs.onnx"), std::string("not ours"));
  EXPECT_EQ(convert(path("other.safetensors") + " " + path("theirs.onnx")).code, 2);
  EXPECT_EQ(content(path("theirs.onnx")), "not ours");
  EXPECT_EQ(convert(path("other.safetensors") + " " + path("net.onnx") + " --dtype bf16").code, 2);
  EXPECT_EQ(convert(path("other.safetensors") + " " + path("net.pth") + " --size 64").code, 2);
}

}  // namespace
}  // namespace telltale
