// Batch norms inside the convolutions around them: the same training step as with each layer by itself.
#include "engine/layers/chain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <set>

#include "engine/layers/all.h"
#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {
namespace {

using Left = std::map<std::string, std::vector<double>>;

struct Net {
  Graph graph;
  Value x, y;
};

/// Convolution, batch norm and relu; a block whose residual is the very value its first convolution reads; one with two
/// links, the first with stride, and a convolution in its shortcut; a chain without a norm at its end.
Net small_net() {
  Net net;
  Graph& g = net.graph;
  net.x = g.input({3, 9, 8, 3});
  const auto conv = [&](const char* name, Value x, int channels, int size, int stride = 1) {
    return g.add<Conv>(name, {x}, Conv::Settings{channels, size, {stride, size / 2, 1}, false});
  };
  const auto norm = [&](const char* name, Value x) { return g.add<BatchNorm>(name, {x}); };
  const auto relu = [&](const char* name, Value x) { return g.add<Activation>(name, {x}, Act::relu); };
  const Value a = relu("relu0", norm("bn0", conv("conv0", net.x, 8, 3)));
  Value b = relu("relu1", norm("bn1", conv("conv1", a, 4, 1)));
  b = norm("bn2", conv("conv2", b, 8, 3));
  const Value c = relu("relu3", g.add<Add>("add3", {b, a}));
  Value d = relu("relu4", norm("bn4", conv("conv4", c, 4, 1)));
  d = relu("relu5", norm("bn5", conv("conv5", d, 4, 3, 2)));
  d = norm("bn6", conv("conv6", d, 16, 1));
  const Value shortcut = norm("bn7", conv("conv7", c, 16, 1, 2));
  const Value e = relu("relu8", g.add<Add>("add8", {d, shortcut}));
  Value f = conv("conv10", relu("relu9", norm("bn9", conv("conv9", e, 8, 3))), 6, 1);
  f = g.add<AdaptiveAvgPool>("pool", {f}, 2, 2);
  net.y = g.add<Linear>("fc", {f}, Linear::Settings{3});
  return net;
}

Net detector(const char* name) {
  Net net;
  net.x = net.graph.input({4, 64, 64, 3});
  net.y = detector_net(name).build(net.graph, net.x, {.outputs = 5, .width = 0.0625, .dropout = 0});
  return net;
}

/// What two micro-batches of one step leave behind, by name.
Left step(const Net& net, Stream& s, Options o, bool chains) {
  o.training = true;
  o.seed = 3;
  o.chains = chains;
  Program p(net.graph, s, o);
  Left left;
  for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
    const Tensor x = p.tensor(net.x), y = p.tensor(net.y);
    set_values(s, x, uniform_values(x.shape.numel(), 5 + uint64_t(micro_batch)));
    p.forward();
    set_values(s, p.gradient(net.y), uniform_values(y.shape.numel(), 7 + uint64_t(micro_batch)));
    p.backward(micro_batch > 0);
    left[cat("output of micro-batch ", micro_batch)] = values_of(s, y);
    if (o.input_gradients) left[cat("input gradient ", micro_batch)] = values_of(s, p.gradient(net.x));
  }
  for (const Param& q : p.params().all()) {
    left[q.spec.names[0]] = p.params().read(s, q);
    if (q.trainable) left["gradient of " + q.spec.names[0]] = values_of(s, q.grad);
  }
  return left;
}

void expect_same_tensors(const Left& a, const Left& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, v] : a) ASSERT_TRUE(b.count(name) && b.at(name).size() == v.size()) << name;
}

void expect_alike(const Left& want, const Left& got, double share) {
  ASSERT_NO_FATAL_FAILURE(expect_same_tensors(want, got));
  for (const auto& [name, v] : want) EXPECT_LE(relative_rms(v, got.at(name)), share) << name;
}

/// In halves a net's gradients wander by many per cent with every relu that rounding turns: chains may wander from f32
/// as far as their layers do, but not farther.
void expect_as_good_in_halves(const Net& net, Stream& s) {
  const Left exact = step(net, s, {.compute = DType::f32}, false), apart = step(net, s, {.compute = DType::f16}, false),
             chained = step(net, s, {.compute = DType::f16}, true);
  ASSERT_NO_FATAL_FAILURE(expect_same_tensors(exact, apart));
  ASSERT_NO_FATAL_FAILURE(expect_same_tensors(exact, chained));
  for (const auto& [name, v] : exact)
    EXPECT_LE(relative_rms(v, chained.at(name)), 0.02 + 1.5 * relative_rms(v, apart.at(name))) << name;
}

int chains_in(const Graph& g) {
  int count = 0;
  for (const Graph::Node& n : g.nodes()) count += dynamic_cast<const ConvChain*>(n.layer.get()) != nullptr;
  return count;
}

class Chains : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Chains, every_device(), device_label);

TEST_P(Chains, TrainAsTheirLayersDo) {
  Stream s = stream();
  const Options wide{.compute = DType::f64, .input_gradients = true};
  for (const Net& net : {small_net(), detector("resnet18"), detector("resnet50")})
    expect_alike(step(net, s, wide, false), step(net, s, wide, true), 1e-9);
  // On the host the same kernels run in the same order; elsewhere another sum's rounding may turn a relu.
  const Options o{.compute = DType::f32, .input_gradients = true};
  expect_alike(step(small_net(), s, o, false), step(small_net(), s, o, true), s.device_bodies() ? 0.02 : 1e-6);
}

TEST_P(Chains, InHalvesAreAsGoodAsTheirLayers) {
  Stream s = stream();
  expect_as_good_in_halves(small_net(), s);
}

TEST(ChainGraphs, HaveTheLayersThatStandInARow) {
  const Graph small = small_net().graph.fused({.training = true, .chains = true});
  EXPECT_EQ(chains_in(small), 5);
  EXPECT_EQ(small.nodes().size(), 7u);  // and pooling, linear
  // The stem, every block and every shortcut's convolution.
  EXPECT_EQ(chains_in(detector("resnet18").graph.fused({.training = true, .chains = true})), 1 + 8 + 3);
  EXPECT_EQ(chains_in(detector("resnet50").graph.fused({.training = true, .chains = true})), 1 + 16 + 4);
  EXPECT_EQ(chains_in(detector("resnet50").graph.fused({.chains = true})), 0) << "inference folds";
  EXPECT_EQ(chains_in(detector("vgg11").graph.fused({.training = true, .chains = true})), 0);
}

TEST(ChainGraphs, FrozenLayersStayAsTheyAre) {
  Net net = small_net();
  for (const char* name : {"conv4", "bn4", "bn9"}) ASSERT_EQ(net.graph.freeze(name), 1);
  const Graph chained = net.graph.fused({.training = true, .chains = true});
  // conv0 … bn0, conv1 … add3, conv5 … add8, conv7 bn7. conv9's norm is a constant, but conv9 trains.
  EXPECT_EQ(chains_in(chained), 4);
  Stream s = Stream::cpu();
  const Options o{.compute = DType::f64, .input_gradients = true};
  expect_alike(step(net, s, o, false), step(net, s, o, true), 1e-9);
  net.graph.freeze("");
  EXPECT_EQ(chains_in(net.graph.fused({.training = true, .chains = true})), 0);
}

TEST(ChainGraphs, KeepNamesAndTakeLessMemory) {
  for (const char* name : {"resnet18", "resnet50"}) {
    Net net = detector(name);
    Stream s = Stream::emulated();  // as a GPU plans: nothing packed
    Options o{.compute = DType::f16, .training = true, .chains = false};
    Program plain(net.graph, s, o);
    const Footprint apart = Program::footprint(net.graph, s, o);
    o.chains = true;
    Program chained(net.graph, s, o);
    const Footprint together = Program::footprint(net.graph, s, o);
    std::set<std::string> a, b;
    for (const Param& p : plain.params().all()) a.insert(p.spec.names[0]);
    for (const Param& p : chained.params().all()) b.insert(p.spec.names[0]);
    EXPECT_EQ(a, b) << name;
    EXPECT_NO_THROW(chained.params().copy_from(s, plain.params())) << name;
    EXPECT_LT(together.arena, apart.arena) << name;
    EXPECT_EQ(together.params, apart.params) << name;
  }
}

/// As ResNets are trained: planned only.
TEST(ChainGraphs, TakeLessMemoryAtFullSize) {
  for (const char* name : {"resnet18", "resnet50"}) {
    Graph g;
    g.output(detector_net(name).build(g, g.input({512, 256, 256, 3}), {}));
    Stream s = Stream::emulated();
    const auto mib = [&](bool chains) {
      return double(Program::footprint(g, s, {.compute = DType::f16, .training = true, .chains = chains}).arena) /
             (1 << 20);
    };
    const double apart = mib(false), chained = mib(true);
    std::printf("%s, batch 512 of 256x256 in f16: activations take %.0f MiB, %.0f in chains\n", name, apart, chained);
    EXPECT_LT(chained, 0.9 * apart) << name;
  }
}

TEST(ChainGraphs, AreForTrainingInHalvesOnAGpuUnlessAsked) {
  Net net = small_net();
  Stream s = Stream::cpu();
  Options o{.compute = DType::f16, .training = true};
  EXPECT_EQ(Program(net.graph, s, o).summary().find(" > "), std::string::npos);
  o.chains = true;
  EXPECT_NE(Program(net.graph, s, o).summary().find(" > "), std::string::npos);
  o.fuse = false;
  EXPECT_EQ(Program(net.graph, s, o).summary().find(" > "), std::string::npos);
}

class ChainsOnAGpu : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, ChainsOnAGpu, testing::Values("cuda"), device_label);

TEST_P(ChainsOnAGpu, AreTheDefaultInHalves) {
  Stream s = stream();
  Net net = small_net();
  Options o{.compute = DType::f16, .training = true};
  EXPECT_NE(Program(net.graph, s, o).summary().find(" > "), std::string::npos);
  o.compute = DType::bf16;
  EXPECT_EQ(Program(net.graph, s, o).summary().find(" > "), std::string::npos);
}

/// Large enough for cuDNN's engines with batch norm inside, a ResNet's own channels.
TEST_P(ChainsOnAGpu, InHalvesResNetsAreAsGoodAsTheirLayers) {
  Stream s = stream();
  for (const char* name : {"resnet18", "resnet50"}) {
    Net net;
    net.x = net.graph.input({16, 64, 64, 3});
    net.y = detector_net(name).build(net.graph, net.x, {.outputs = 5, .dropout = 0});
    expect_as_good_in_halves(net, s);
  }
}

}  // namespace
}  // namespace telltale
