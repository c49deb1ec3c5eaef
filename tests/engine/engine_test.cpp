// Graphs, fusion, freezing, gradients through programs, and both devices agreeing node by node.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/check_mode.h"
#include "engine/layers/all.h"
#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"
#include "nets/nets.h"
#include "tests/devices.h"

namespace telltale {
namespace {

template <class T>
void fill(Stream& s, Tensor t, uint64_t seed, double low = -1, double high = 1) {
  Random random(seed);
  std::vector<T> v(size_t(t.shape.numel()));
  for (T& e : v) e = T(random.uniform(low, high));
  upload(s, t, v.data());
}

template <class T>
std::vector<T> read(Stream& s, Tensor t) {
  std::vector<T> v(size_t(t.shape.numel()));
  download(s, v.data(), t);
  return v;
}

/// Σ pred·target per sample: a loss whose gradient is the target itself, so that whole-net gradients can be checked.
class WeightedSum : public Loss {
 public:
  explicit WeightedSum(int width) : width_(width) {}
  std::string name() const override { return "weighted_sum"; }
  int pred_width() const override { return width_; }
  int target_width() const override { return width_; }
  void eval(Stream&, Tensor pred, Tensor target, Tensor loss, Tensor dpred, const StepState*) const override {
    const double *p = pred.as<double>(), *t = target.as<double>();
    for (int n = 0; n < pred.shape.n; ++n) {
      double sum = 0;
      for (int k = 0; k < width_; ++k) {
        sum += p[n * width_ + k] * t[n * width_ + k];
        dpred.as<double>()[n * width_ + k] = t[n * width_ + k];
      }
      loss.as<double>()[n] = sum;
    }
  }
  double worst_gradient_error(uint64_t) const override { return 0; }

 private:
  int width_;
};

struct SmallNet {
  Graph graph;
  Value x, y;
};
SmallNet residual_net() {
  SmallNet net;
  net.x = net.graph.input({2, 8, 8, 3});
  Graph& g = net.graph;
  Value a = g.add<Conv>("conv1", {net.x}, Conv::Settings{8, 3, {1, 1, 1}, false});
  a = g.add<BatchNorm>("bn1", {a});
  a = g.add<Activation>("relu1", {a}, Act::relu);
  Value b = g.add<Conv>("conv2", {a}, Conv::Settings{8, 3, {1, 1, 1}, false});
  b = g.add<BatchNorm>("bn2", {b});
  b = g.add<Activation>("relu2", {g.add<Add>("add", {b, a})}, Act::relu);
  net.y = g.add<Linear>("fc", {g.add<AdaptiveAvgPool>("pool", {b}, 2, 2)}, Linear::Settings{3});
  return net;
}

TEST(Fusion, TrainingKeepsConvolutionsInferenceFoldsThem) {
  const SmallNet net = residual_net();
  EXPECT_EQ(net.graph.nodes().size(), 9u);
  EXPECT_EQ(net.graph.fused({.training = true}).nodes().size(), 6u);   // conv, bn+relu, conv, bn+add+relu, pool, fc
  EXPECT_EQ(net.graph.fused({.training = false}).nodes().size(), 4u);  // conv+bn+relu, conv+bn+add+relu, pool, fc
}

TEST(Fusion, ChangesNoResult) {
  const SmallNet net = residual_net();
  Stream s = Stream::cpu();
  Program plain(net.graph, s, {.fuse = false, .seed = 3}), fused(net.graph, s, {.seed = 3});
  for (const Param& p : plain.params().all()) {  // running statistics that matter
    if (!p.spec.is_counter) fill<float>(s, p.value, 11, 0.2, 0.8);
  }
  fused.params().copy_from(s, plain.params());
  for (Program* p : {&plain, &fused}) {
    fill<float>(s, p->tensor(net.x), 5);
    p->forward();
  }
  const auto a = read<float>(s, plain.tensor(net.y)), b = read<float>(s, fused.tensor(net.y));
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5 * (1 + std::abs(a[i])));
}

/// A relu before a maximum moves behind it, and the convolution's output is not kept: the same bits but for the bias,
/// whose gradients are summed over fewer numbers.
TEST(Fusion, PoolsBeforeRelu) {
  Graph g;
  const Value x = g.input({2, 9, 7, 3});
  Value v = g.add<Conv>("conv", {x}, Conv::Settings{8, 3, {1, 1, 1}});
  v = g.add<Activation>("relu", {v}, Act::relu);
  v = g.add<MaxPool>("pool", {v}, 3, 2, 1);
  const Value y = g.add<Linear>("fc", {v}, Linear::Settings{3});
  EXPECT_EQ(g.fused({.training = true}).nodes().size(), 2u);  // conv+pool+relu, fc
  EXPECT_EQ(g.fused({.training = false}).nodes().size(), 3u);
  Stream s = Stream::cpu();
  Program plain(g, s, {.training = true, .fuse = false, .input_gradients = true, .seed = 3}),
      fused(g, s, {.training = true, .input_gradients = true, .seed = 3});
  for (Program* p : {&plain, &fused}) {
    fill<float>(s, p->tensor(x), 5);
    p->forward();
    fill<float>(s, p->gradient(y), 7);
    p->backward(false);
  }
  EXPECT_EQ(read<float>(s, plain.tensor(y)), read<float>(s, fused.tensor(y)));
  EXPECT_EQ(read<float>(s, plain.gradient(x)), read<float>(s, fused.gradient(x)));
  for (size_t i = 0; i < plain.params().all().size(); ++i) {
    const auto want = read<float>(s, plain.params().all()[i].grad), got = read<float>(s, fused.params().all()[i].grad);
    for (size_t k = 0; k < want.size(); ++k) EXPECT_NEAR(want[k], got[k], 1e-6 * (1 + std::abs(want[k])));
  }
  EXPECT_LT(fused.arena_bytes(), plain.arena_bytes());
}

TEST(Fusion, SumsWhereADyingResidualLies) {
  Graph g;
  const Value x = g.input({2, 8, 8, 8});
  const Value a = g.add<Activation>("start", {x}, Act::relu);
  Value b = g.add<Conv>("conv1", {a}, Conv::Settings{4, 1, {}, false});
  b = g.add<Conv>("conv2", {g.add<BatchNorm>("bn1", {b})}, Conv::Settings{8, 3, {1, 1, 1}, false});
  b = g.add<Add>("add1", {g.add<BatchNorm>("bn2", {b}), a});
  Value c = g.add<Conv>("conv3", {b}, Conv::Settings{8, 3, {1, 1, 1}, false});
  const Value y = g.add<Add>("add2", {g.add<BatchNorm>("bn3", {c}), b});
  Stream s = Stream::cpu();
  Program plain(g, s, {.fuse = false, .seed = 3}), fused(g, s, {.seed = 3});
  fused.params().copy_from(s, plain.params());
  std::vector<std::pair<std::string, bool>> sums;  // and whether in place
  fused.observe([&](Program::Step, const Layer& layer, const Io& io) {
    if (io.x.size() == 2) sums.emplace_back(layer.name, io.y.data == io.x[1].data);
  });
  for (Program* p : {&plain, &fused}) {
    fill<float>(s, p->tensor(x), 5);
    p->forward();
  }
  // conv3 convolves the very value that it adds: it must not write over what it reads.
  EXPECT_EQ(sums, (std::vector<std::pair<std::string, bool>>{{"conv2", true}, {"conv3", false}}));
  const auto want = read<float>(s, plain.tensor(y)), got = read<float>(s, fused.tensor(y));
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-5 * (1 + std::abs(want[i])));
}

TEST(Shapes, ErrorsNameTheLayer) {
  Graph g;
  const Value x = g.input({1, 4, 4, 3});
  g.add<Conv>("stem.conv", {x}, Conv::Settings{8, 7, {1, 0, 1}});
  Stream s = Stream::cpu();
  try {
    Program p(g, s, {});
    FAIL() << "a 7x7 filter does not fit 4x4";
  } catch (const ShapeError& e) {
    EXPECT_NE(std::string(e.what()).find("stem.conv"), std::string::npos) << e.what();
  }
}

double check_whole_net(const DetectorNet& net, int size, int batch) {
  Graph g;
  const Value x = g.input({batch, size, size, 3});
  const Value y = net.build(g, x, {.outputs = 5, .width = 0.125, .dropout = 0});
  Stream s = Stream::cpu();
  Program p(g, s, {.compute = DType::f64, .training = true, .seed = 1});
  fill<double>(s, p.tensor(x), 2);
  const OwnedTensor target(Place::host, {batch, 1, 1, 5}, DType::f64), out(Place::host, {batch, 1, 1, 1}, DType::f64);
  fill<double>(s, target, 3);
  const WeightedSum loss(5);
  const auto objective = [&] {
    p.gradients(y, loss, target, out, false);
    double sum = 0;
    for (double v : read<double>(s, out)) sum += v;
    return sum;
  };
  objective();
  struct Probe {
    Tensor value;
    size_t index;
    double gradient;
  };
  std::vector<Probe> probes;
  Random random(4);
  for (const Param& q : p.params().all()) {
    if (!q.trainable) continue;
    const auto grad = read<double>(s, q.grad);
    const size_t i = size_t(random.integer(0, int64_t(grad.size()) - 1));
    probes.push_back({q.value, i, grad[i]});
  }
  double worst = 0;
  for (size_t k = 0; k < probes.size(); k += 1 + probes.size() / 24) {
    const Probe& q = probes[k];
    double& w = q.value.as<double>()[q.index];
    const double start = w;
    // A step may cross a relu's kink, or be too coarse for a batch norm over few pixels: a wrong gradient is wrong at
    // every step width.
    double best = 1e9;
    for (double h : {1e-6, 1e-7, 1e-5}) {
      w = start + h;
      const double up = objective();
      w = start - h;
      const double down = objective();
      w = start;
      best = std::min(best, std::abs((up - down) / (2 * h) - q.gradient) / std::max(1.0, std::abs(q.gradient)));
      if (best < 1e-6) break;
    }
    worst = std::max(worst, best);
  }
  return worst;
}

TEST(Gradients, EveryDetectorInDouble) {
  for (const DetectorNet& net : detector_nets()) {
    // The smallest that AlexNet's strides allow, and that leaves ResNet50's last batch norms enough pixels to be
    // smooth.
    const bool large = std::string(net.name) == "alexnet" || std::string(net.name) == "resnet50";
    const int size = large ? 64 : 32;
    EXPECT_LT(check_whole_net(net, size, 3), 1e-6) << net.name;
  }
}

TEST(Gradients, MicroBatchesAddUpToTheLargeBatch) {
  Stream s = Stream::cpu();
  const auto build = [&](int n, Value& x, Value& y) {
    Graph g;
    x = g.input({n, 32, 32, 3});
    y = vgg11(g, x, {.outputs = 5, .width = 0.125, .dropout = 0});
    return g;
  };
  Value x, y;
  Program whole(build(4, x, y), s, {.compute = DType::f64, .training = true, .seed = 1});
  Program half(build(2, x, y), s, {.compute = DType::f64, .training = true, .seed = 1});
  const OwnedTensor target(Place::host, {4, 1, 1, 5}, DType::f64), out(Place::host, {4, 1, 1, 1}, DType::f64);
  fill<double>(s, target, 3);
  fill<double>(s, whole.tensor(x), 2);
  const WeightedSum loss(5);
  whole.gradients(y, loss, target, out, false);
  for (int i = 0; i < 2; ++i) {
    const Tensor in = half.tensor(x);
    std::memcpy(in.data, whole.tensor(x).as<char>() + size_t(i) * in.bytes(), in.bytes());
    const Tensor part{target.tensor.as<double>() + i * 10, {2, 1, 1, 5}, DType::f64};
    half.gradients(y, loss, part, {out.tensor.data, {2, 1, 1, 1}, DType::f64}, i > 0);
  }
  const auto a = read<double>(s, whole.params().arena().grad), b = read<double>(s, half.params().arena().grad);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-12 * (1 + std::abs(a[i])));
}

TEST(Freezing, OnlyTheHeadTrains) {
  Graph g;
  const Value x = g.input({2, 32, 32, 3});
  const Value y = resnet18(g, x, {.outputs = 5, .width = 0.125});
  g.freeze("");
  EXPECT_EQ(g.freeze("fc", false), 1);
  Stream s = Stream::cpu();
  Program p(g, s, {.training = true, .seed = 1});
  int trainable = 0;
  for (const Param& q : p.params().all()) trainable += q.trainable;
  EXPECT_EQ(trainable, 2);
  fill<float>(s, p.tensor(x), 2);
  const std::vector<float> mean = read<float>(s, p.params().find("bn1.running_mean")->value);
  p.forward();
  EXPECT_EQ(mean, read<float>(s, p.params().find("bn1.running_mean")->value)) << "frozen statistics are constants";
  fill<float>(s, p.gradient(y), 3);
  p.backward(false);
  double norm = 0;
  for (float v : read<float>(s, p.params().arena().grad)) norm += double(v) * v;
  EXPECT_GT(norm, 0);
}

TEST(Freezing, UpToAValueHoldsWhatItDependsOnAndNothingElse) {
  Graph g;
  const Value x = g.input({2, 4, 4, 3});
  const Conv::Settings conv{.channels = 3, .size = 3, .geometry = {.pad = 1}};
  const Value first = g.add<Conv>("first", {x}, conv), beside = g.add<Conv>("beside", {x}, conv);
  const Value second = g.add<Conv>("second", {first}, conv);
  g.add<Add>("joined", {second, beside});
  EXPECT_EQ(g.freeze_up_to(second), 2);
  for (const Graph::Node& n : g.nodes()) {
    EXPECT_EQ(n.frozen, n.layer->name == "first" || n.layer->name == "second") << n.layer->name;
  }
  EXPECT_EQ(g.freeze_up_to(x), 0) << "an input depends on no layer";
}

TEST(Statistics, TrainingCountsItsBatches) {
  const SmallNet net = residual_net();
  Stream s = Stream::cpu();
  Program p(net.graph, s, {.training = true});
  fill<float>(s, p.tensor(net.x), 2);
  for (int i = 0; i < 3; ++i) p.forward();
  EXPECT_EQ(read<float>(s, p.params().find("bn2.num_batches_tracked")->value)[0], 3.0f);
}

class CheckMode : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, CheckMode, device_bodies(), device_label);

TEST_P(CheckMode, AgreesWithTheCpuAndAPlantedErrorIsNamed) {
  const SmallNet net = residual_net();
  Stream cpu = Stream::cpu(), device = stream();
  Program a(net.graph, cpu, {.training = true, .seed = 1}), b(net.graph, device, {.training = true, .seed = 1});
  for (Program* p : {&a, &b}) {
    fill<float>(p->stream(), p->tensor(net.x), 2);
    p->forward();
    fill<float>(p->stream(), p->gradient(net.y), 3);
  }
  Disagreement d = compare_programs(a, b, {}, {}, 1e-4);
  EXPECT_FALSE(d.found) << d.text;
  EXPECT_EQ(d.tensors_compared, 6);
  const Tensor w = b.params().find("conv2.weight")->value;
  std::vector<double> planted = values_of(device, w);
  planted[5] += 0.5;
  set_values(device, w, planted);
  d = compare_programs(a, b, {}, {}, 1e-4);
  EXPECT_TRUE(d.found);
  EXPECT_EQ(d.text.rfind("node 2, conv2 forward y[", 0), 0u) << d.text;
}

TEST(Parameters, FullSizeCountsAreTorchvisions) {
  const std::pair<const char*, int64_t> expected[] = {
      {"alexnet", 57024325}, {"vgg11", 128786821}, {"resnet18", 11179077}, {"resnet50", 23518277}};
  for (const auto& [name, count] : expected) {
    Graph g;
    detector_net(name).build(g, g.input({1, 64, 64, 3}), {});
    Stream s = Stream::cpu();
    const Program p(g, s, {});
    int64_t sum = 0;
    for (const Param& q : p.params().all()) sum += q.spec.trainable ? q.spec.shape.numel() : 0;
    EXPECT_EQ(sum, count) << name;
  }
}

TEST(DeepFill, PublishedParameterCountAndOutputShapes) {
  Graph g;
  const Value image = g.input({1, 64, 64, 3}), mask = g.input({1, 64, 64, 1});
  const Inpainted out = deepfill_v2(g, image, mask);
  Stream s = Stream::cpu();
  Program p(g, s, {});
  int64_t sum = 0;
  for (const Param& q : p.params().all()) sum += q.spec.shape.numel();
  EXPECT_EQ(sum, 16174956);  // 16 185 900 with the spectral norm's u and v, as PyTorch counts
  fill<float>(s, p.tensor(image), 1, 0, 1);
  fill<float>(s, p.tensor(mask), 2, 0, 0);
  p.forward();
  for (Value v : {out.coarse, out.refined}) {
    EXPECT_EQ(p.tensor(v).shape, (Shape{1, 64, 64, 3}));
    for (float e : read<float>(s, p.tensor(v))) ASSERT_LE(std::abs(e), 1.0f);
  }
}

}  // namespace
}  // namespace telltale
