// The locator of traces: shapes, its two layers, gradients of the whole net in double, and every device node by node.
#include "nets/trace_locator.h"

#include <cmath>

#include "engine/check_mode.h"
#include "engine/layers/traces.h"
#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {
namespace {

struct Net {
  Graph graph;
  Value x, y;
};
Net small(int height, int width, const TraceLocatorSettings& s = {.width = 4}) {
  Net net;
  net.x = net.graph.input({2, height, width, 3});
  net.y = trace_locator(net.graph, net.x, s);
  return net;
}
Value named(const Graph& g, const std::string& name) {
  for (const Graph::Node& n : g.nodes())
    if (n.layer->name == name) return n.y;
  throw UsageError("no layer " + name);
}
std::vector<TraceLocatorSettings> every_choice() {
  std::vector<TraceLocatorSettings> all;
  for (int bits = 1; bits < 16; ++bits)
    for (const bool contrast : {true, false})
      for (int scales = 1; scales <= 1 + (bits & 1); ++scales)
        all.push_back({4, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, contrast, scales});
  return all;
}
std::vector<double> bytes(int64_t n, uint64_t seed) {
  std::vector<double> picture = uniform_values(n, seed, 0, 255);
  for (double& v : picture) v = std::floor(v);
  return picture;
}

TEST(TraceLocator, SaysOneLogitForFourPixelsWhateverItLooksAt) {
  Stream s = Stream::cpu();
  for (const TraceLocatorSettings& choice : every_choice())
    for (const auto& [height, width] : {std::pair{8, 8}, {16, 40}}) {
      const Net net = small(height, width, choice);
      const Program p(net.graph, s, {});
      EXPECT_EQ(p.tensor(net.y).shape, (Shape{2, height / 2, width / 2, 1}));
    }
  EXPECT_THROW(small(8, 8, {4, false, false, false, false, true}), UsageError);
  EXPECT_THROW(small(8, 8, {4, false, true, true, true, true, 2}), UsageError);
  EXPECT_THROW(small(8, 8, {4, true, true, true, true, true, 3}), UsageError);
  const Net odd = small(12, 8);
  EXPECT_THROW(Program(odd.graph, s, {}), ShapeError);
}

TEST(TraceLocator, FlatColourLeavesNoResidualInAnyType) {
  Stream s = Stream::cpu();
  for (const DType type : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    Graph g;
    const Value x = g.input({1, 16, 16, 3});
    trace_locator(g, x, {.width = 4, .scales = 2});
    g.output(named(g, "residuals"));
    g.output(named(g, "residuals.halved"));
    Program p(g, s, {.compute = type});
    std::vector<double> colour;
    for (int i = 0; i < 256; ++i) colour.insert(colour.end(), {251, 3, 127});
    set_values(s, p.tensor(x), colour);
    p.forward();
    const std::vector<double> r = values_of(s, p.tensor(named(g, "residuals")));
    for (int h = 2; h < 14; ++h)
      for (int i = 2 * 10; i < 14 * 10; ++i) ASSERT_EQ(r[size_t(h * 160 + i)], 0) << name_of(type);
    const std::vector<double> halved = values_of(s, p.tensor(named(g, "residuals.halved")));
    for (int h = 2; h < 6; ++h)
      for (int i = 2 * 10; i < 6 * 10; ++i) ASSERT_EQ(halved[size_t(h * 80 + i)], 0) << name_of(type);
  }
}

/// In a picture of blocks that are all alike but for one, that one's coefficients are the unusual ones.
TEST(TraceLocator, HistoryTellsTheBlockThatIsNotLikeTheOthers) {
  Stream s = Stream::cpu();
  Graph g;
  const Value x = g.input({1, 64, 64, 3});
  const Value y = g.add<CoefficientTraces>("traces", {x}, CoefficientTraces::Settings{false, true});
  Program p(g, s, {});
  std::vector<double> picture;
  for (int h = 0; h < 64; ++h)
    for (int w = 0; w < 64; ++w) {
      // A wave of 40 across each block; in the fourth block of the third row it is of 43.
      const double size = h / 8 == 2 && w / 8 == 3 ? 43 : 40;
      const double v = 128 + size / std::sqrt(32) * std::cos((2 * (w % 8) + 1) * M_PI / 16);
      picture.insert(picture.end(), 3, v);
    }
  set_values(s, p.tensor(x), picture);
  p.forward();
  const std::vector<double> traces = values_of(s, p.tensor(y));
  for (int block = 0; block < 64; ++block)
    EXPECT_EQ(traces[size_t(block * 64 + 1)] < 0, block == 2 * 8 + 3) << traces[size_t(block * 64 + 1)];
}

/// Every parameter against central differences of Σ y·dy; the traces of coefficients are constants.
TEST(TraceLocator, GradientsOfTheWholeNetAreItsDifferences) {
  Stream s = Stream::cpu();
  const Net net = small(32, 16);
  Program p(net.graph, s, {.compute = DType::f64, .training = true, .seed = 3});
  const Tensor y = p.tensor(net.y);
  set_values(s, p.tensor(net.x), bytes(p.tensor(net.x).shape.numel(), 1));
  const std::vector<double> dy = uniform_values(y.shape.numel(), 2);
  p.forward();
  set_values(s, p.gradient(net.y), dy);
  p.backward(false);
  const auto value = [&] {
    p.params_changed();
    p.forward();
    const std::vector<double> out = values_of(s, y);
    double sum = 0;
    for (size_t i = 0; i < out.size(); ++i) sum += out[i] * dy[i];
    return sum;
  };
  std::vector<std::vector<double>> gradients;
  for (const Param& q : p.params().all())
    gradients.push_back(q.trainable ? values_of(s, q.grad) : std::vector<double>());
  for (size_t k = 0; k < gradients.size(); ++k) {
    const Param& q = p.params().all()[k];
    if (!q.trainable) continue;
    const std::vector<double> at = values_of(s, q.value);
    for (size_t i = 0; i < at.size(); i += at.size() / 3 + 1) {
      constexpr double kStep = 1e-6;
      std::vector<double> moved = at;
      moved[i] = at[i] + kStep;
      set_values(s, q.value, moved);
      const double above = value();
      moved[i] = at[i] - kStep;
      set_values(s, q.value, moved);
      const double difference = (above - value()) / (2 * kStep);
      set_values(s, q.value, at);
      EXPECT_NEAR(gradients[k][i], difference, 1e-5 * std::max(1.0, std::abs(difference)))
          << q.spec.names[0] << "[" << i << "]";
    }
  }
}

TEST(TraceLocator, CoefficientsPassAPictureNoGradient) {
  Stream s = Stream::cpu();
  const Net net = small(16, 16, {.width = 4, .residuals = false});
  Program p(net.graph, s, {.training = true, .input_gradients = true});
  set_values(s, p.tensor(net.x), bytes(p.tensor(net.x).shape.numel(), 1));
  p.forward();
  set_values(s, p.gradient(net.y), uniform_values(p.tensor(net.y).shape.numel(), 2));
  p.backward(false);
  for (const double d : values_of(s, p.gradient(net.x))) ASSERT_EQ(d, 0);
}

class TraceLocatorOnDevice : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, TraceLocatorOnDevice, device_bodies(), device_label);

TEST_P(TraceLocatorOnDevice, AgreesWithTheCpuNodeByNode) {
  for (const TraceLocatorSettings& choice : every_choice())
    for (const auto& [type, tolerance] : {std::pair{DType::f32, 1e-3}, {DType::bf16, 3e-2}}) {
      const Net net = small(24, 16, choice);
      Stream cpu = Stream::cpu(), device = stream();
      Program a(net.graph, cpu, {.compute = type, .seed = 1}), b(net.graph, device, {.compute = type, .seed = 1});
      const std::vector<double> picture = bytes(a.tensor(net.x).shape.numel(), 2);
      for (Program* p : {&a, &b}) set_values(p->stream(), p->tensor(net.x), picture);
      const Disagreement d = compare_programs(a, b, {}, {}, tolerance);
      EXPECT_FALSE(d.found) << d.text;
    }
}

}  // namespace
}  // namespace telltale
