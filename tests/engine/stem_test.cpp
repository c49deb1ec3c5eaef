// A ResNet's stem over blocks of 2×2 pixels: the same net as with its 7×7 convolution.
#include "engine/layers/stem.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "engine/layers/all.h"
#include "engine/program.h"
#include "kernels/device/buffer.h"
#include "kernels/device/host_values.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {
namespace {

using Left = std::map<std::string, std::vector<double>>;

constexpr int kSamples = 3;

struct Net {
  Graph graph;
  Value pixels, flip, y;
};

/// A ResNet's beginning over images {3,from,from+2,3} resized to {h,w}; with `resident`, over those it chooses.
Net small_net(int from, int h, int w, Tensor resident = {}) {
  Net net;
  Graph& g = net.graph;
  net.pixels = resident ? g.input({1, 1, 1, kSamples}, DType::i32) : g.input({kSamples, from, from + 2, 3}, DType::u8);
  net.flip = g.input({1, 1, 1, kSamples}, DType::u8);
  Preprocess::Settings settings{h, w};
  settings.images = resident;
  Value x = g.add<Preprocess>("preprocess", {net.pixels, net.flip}, settings);
  x = g.add<Conv>("conv1", {x}, Conv::Settings{6, 7, {2, 3, 1}, false});
  x = g.add<Activation>("relu", {g.add<BatchNorm>("bn1", {x})}, Act::relu);
  x = g.add<MaxPool>("maxpool", {x}, 3, 2, 1);
  net.y = g.add<Linear>("fc", {x}, Linear::Settings{4});
  return net;
}

Net detector(const char* name, int size = 64) {
  Net net;
  net.pixels = net.graph.input({kSamples, size, size, 3}, DType::u8);
  net.flip = net.graph.input({1, 1, 1, kSamples}, DType::u8);
  const Value x = net.graph.add<Preprocess>("preprocess", {net.pixels, net.flip}, Preprocess::Settings{size, size});
  net.y = detector_net(name).build(net.graph, x, {.outputs = 5, .width = 0.0625, .dropout = 0});
  net.graph.output(net.y);
  return net;
}

std::vector<double> random_bytes(int64_t count, uint64_t seed) {
  std::vector<double> v = uniform_values(count, seed, 0, 256);
  for (double& e : v) e = std::floor(e);
  return v;
}

int stems_in(const Graph& g) {
  int count = 0;
  for (const Graph::Node& n : g.nodes()) count += dynamic_cast<const Stem*>(n.layer.get()) != nullptr;
  return count;
}

/// What two micro-batches of one step leave behind, by name; without training, what the net says.
Left run(const Net& net, Stream& s, Options o, bool stems) {
  o.seed = 3;
  o.stems = stems;
  Program p(net.graph, s, o);
  Left left;
  for (int micro_batch = 0; micro_batch < 1 + o.training; ++micro_batch) {
    const Tensor pixels = p.tensor(net.pixels), y = p.tensor(net.y);
    const std::vector<double> bytes = random_bytes(pixels.shape.numel(), 5 + uint64_t(micro_batch));
    set_values(s, pixels, pixels.dtype == DType::u8 ? bytes : std::vector<double>{4, 0, double(micro_batch)});
    set_values(s, p.tensor(net.flip), {1, 0, 1});
    p.forward();
    left[cat("output of micro-batch ", micro_batch)] = values_of(s, y);
    if (!o.training) continue;
    set_values(s, p.gradient(net.y), uniform_values(y.shape.numel(), 7 + uint64_t(micro_batch)));
    p.backward(micro_batch > 0);
  }
  for (const Param& q : p.params().all()) {
    left[cat(q.spec.names[0], " ", to_string(q.spec.shape))] = p.params().read(s, q);
    if (o.training && q.trainable) left["gradient of " + q.spec.names[0]] = values_of(s, q.grad);
  }
  return left;
}

void expect_alike(const Left& want, const Left& got, double share) {
  ASSERT_EQ(want.size(), got.size());
  for (const auto& [name, v] : want) {
    ASSERT_TRUE(got.count(name) && got.at(name).size() == v.size()) << name;
    EXPECT_LE(relative_rms(v, got.at(name)), share) << name;
  }
}

class Stems : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Stems, every_device(), device_label);

TEST_P(Stems, TrainAndInferAsTheirLayersDo) {
  Stream s = stream();
  for (bool training : {true, false}) {
    const Options wide{.compute = DType::f64, .training = training}, o{.compute = DType::f32, .training = training};
    for (const Net& net : {small_net(8, 8, 10), small_net(13, 10, 8), detector("resnet18"), detector("resnet50")}) {
      ASSERT_EQ(stems_in(net.graph.fused({.training = training, .stems = true})), 1);
      expect_alike(run(net, s, wide, false), run(net, s, wide, true), 1e-9);
    }
    // Elsewhere than in f64 another sum's rounding may turn a relu.
    expect_alike(run(small_net(8, 8, 10), s, o, false), run(small_net(8, 8, 10), s, o, true), 1e-3);
  }
}

TEST_P(Stems, ReadResidentImages) {
  Stream s = stream();
  const Shape all{6, 9, 11, 3};
  const OwnedTensor images(s.place(), all, DType::u8);
  set_values(s, images, random_bytes(all.numel(), 11));
  const Options o{.compute = DType::f64, .training = true};
  for (const Net& net : {small_net(0, 8, 10, images), small_net(0, 12, 14, images)})
    expect_alike(run(net, s, o, false), run(net, s, o, true), 1e-9);
}

/// As a net that only learns a new end runs.
TEST_P(Stems, MayBeFrozen) {
  Stream s = stream();
  Net net = small_net(8, 8, 10);
  ASSERT_EQ(net.graph.freeze("conv1"), 1);
  const Options o{.compute = DType::f64, .training = true};
  const Left left = run(net, s, o, true);
  EXPECT_FALSE(left.count("gradient of conv1.weight"));
  EXPECT_TRUE(left.count("gradient of fc.weight"));
  expect_alike(run(net, s, o, false), left, 1e-9);
  ASSERT_EQ(net.graph.freeze("bn1"), 1);
  ASSERT_EQ(net.graph.freeze("preprocess"), 1);
  EXPECT_EQ(stems_in(net.graph.fused({.training = true, .stems = true})), 1);
  expect_alike(run(net, s, o, false), run(net, s, o, true), 1e-9);
}

TEST(StemGraphs, AreResNetsOfEvenSizeInEveryForm) {
  for (const char* name : {"resnet18", "resnet50"}) {
    const Graph g = detector(name).graph;
    for (bool training : {false, true}) {
      for (bool chains : {false, true})
        EXPECT_EQ(stems_in(g.fused({.training = training, .chains = chains, .stems = true})), 1) << name;
      EXPECT_EQ(stems_in(g.fused({.training = training})), 0) << name;
    }
    EXPECT_EQ(g.fused({.stems = true}).nodes().size() + 1, g.fused({}).nodes().size()) << "norms fold as before";
    EXPECT_EQ(stems_in(detector(name, 65).graph.fused({.training = true, .stems = true})), 0) << name;
  }
  for (const char* name : {"alexnet", "vgg11"})
    EXPECT_EQ(stems_in(detector(name).graph.fused({.training = true, .stems = true})), 0);
}

class StemsByDefault : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, StemsByDefault, every_device(), device_label);

TEST_P(StemsByDefault, AreForGpus) {
  Stream s = stream();
  for (bool training : {false, true}) {
    const auto uses_blocks = [&](std::optional<bool> stems) {
      const Program p(small_net(8, 8, 10).graph, s, {.training = training, .stems = stems});
      return p.summary().find("blocks") != std::string::npos;
    };
    EXPECT_EQ(uses_blocks(std::nullopt), s.is_cuda());
    EXPECT_TRUE(uses_blocks(true));
    EXPECT_FALSE(uses_blocks(false));
  }
}

}  // namespace
}  // namespace telltale
