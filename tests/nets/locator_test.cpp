// The locators: shapes, gradients of whole nets in double, and every device node by node.
#include "nets/locator.h"

#include <algorithm>
#include <cmath>

#include "engine/check_mode.h"
#include "engine/layers/bayar.h"
#include "engine/layers/fixed.h"
#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {
namespace {

struct Net {
  Graph graph;
  Value x, y;
  double white;  ///< what its pictures reach
};
using Build = Net (*)(int height, int width);
template <bool residuals, bool bayar>
Net small(int height, int width) {
  Net net{.graph = {}, .x = {}, .y = {}, .white = 255};
  net.x = net.graph.input({2, height, width, 3});
  net.y = locator(net.graph, net.x, {.width = 4, .residuals = residuals, .bayar = bayar});
  return net;
}
Net resnet(int height, int width) {
  Net net{.graph = {}, .x = {}, .y = {}, .white = 2};
  net.x = net.graph.input({2, height, width, 3});
  net.y = resnet18_locator(net.graph, net.x, 8);
  return net;
}
constexpr Build kAll[] = {small<true, false>, small<false, false>, small<true, true>, resnet};

TEST(Locator, SaysOneLogitForFourPixelsOfAnySizeOfEights) {
  Stream s = Stream::cpu();
  for (const Build build : kAll)
    for (const auto& [height, width] : {std::pair{8, 8}, {16, 40}, {64, 24}}) {
      const Net net = build(height, width);
      const Program p(net.graph, s, {});
      EXPECT_EQ(p.tensor(net.y).shape, (Shape{2, height / 2, width / 2, 1}));
    }
}

/// A picture without content leaves nothing, whatever the filters are; frozen and outside training alike.
TEST(Locator, BayarsFiltersSeeNoFlatColour) {
  Stream s = Stream::cpu();
  for (const bool training : {true, false}) {
    Graph g;
    const Value x = g.input({1, 9, 11, 3});
    const Value y = g.add<BayarConv>("bayar", {x}, BayarConv::Settings{4, 5, {}, 0.5f});
    Program p(g, s, {.compute = DType::f64, .training = training, .seed = 2});
    EXPECT_EQ(p.params().all().size(), 1u);
    std::vector<double> picture;
    for (int i = 0; i < 9 * 11; ++i) picture.insert(picture.end(), {200, 13, 77});
    set_values(s, p.tensor(x), picture);
    p.forward();
    for (const double v : values_of(s, p.tensor(y))) EXPECT_NEAR(v, 0, 1e-11);
    set_values(s, p.tensor(x), uniform_values(9 * 11 * 3, 1));
    p.forward();
    double most = 0;
    for (const double v : values_of(s, p.tensor(y))) most = std::max(most, std::abs(v));
    EXPECT_GT(most, 0.1);
  }
}

/// Its encoder is resnet18's: one picture, one set of weights, equal activations up to where dilation begins.
TEST(Locator, ResnetsFeaturesAreResnets) {
  Stream s = Stream::cpu();
  Graph detector, encoder;
  const Value a = detector.input({1, 32, 48, 3}), b = encoder.input({1, 32, 48, 3});
  resnet18(detector, a, {.width = .125});
  const std::vector<Value> seen = resnet18_features(encoder, b, 2, .125);
  ASSERT_EQ(seen.size(), 3u);
  const auto& nodes = detector.nodes();
  const auto last =
      std::find_if(nodes.begin(), nodes.end(), [](const Graph::Node& n) { return n.layer->name == "layer2.1.relu"; });
  ASSERT_NE(last, nodes.end());
  const Value end = last->y;
  detector.output(end);
  encoder.output(seen[2]);
  Program p(detector, s, {.compute = DType::f64, .seed = 4}), q(encoder, s, {.compute = DType::f64, .seed = 5});
  for (const Param& to : q.params().all()) {
    const auto from = std::find_if(p.params().all().begin(), p.params().all().end(),
                                   [&](const Param& f) { return f.spec.names == to.spec.names; });
    ASSERT_NE(from, p.params().all().end()) << to.spec.names[0];
    set_values(s, to.value, values_of(s, from->value));
  }
  q.params_changed();
  for (Program* of : {&p, &q}) set_values(s, of->tensor(of == &p ? a : b), uniform_values(32 * 48 * 3, 6));
  p.forward();
  q.forward();
  EXPECT_EQ(values_of(s, p.tensor(end)), values_of(s, q.tensor(seen[2])));
}

TEST(Locator, FixedFiltersAreCrossCorrelated) {
  Stream s = Stream::cpu();
  Graph g;
  const Value x = g.input({1, 4, 5, 2});
  const std::vector<double> filters = uniform_values(3 * 3 * 3 * 2, 1), image = uniform_values(40, 2);
  const Value y =
      g.add<FixedConv>("fixed", {x}, FixedConv::Settings{3, 3, {1, 1, 1}, {filters.begin(), filters.end()}, Act::tanh});
  Program p(g, s, {.compute = DType::f64});
  EXPECT_TRUE(p.params().all().empty());
  set_values(s, p.tensor(x), image);
  p.forward();
  const std::vector<double> got = values_of(s, p.tensor(y));
  for (int h = 0; h < 4; ++h)
    for (int w = 0; w < 5; ++w)
      for (int k = 0; k < 3; ++k) {
        double sum = 0;
        for (int r = 0; r < 9; ++r) {
          const int v = h + r / 3 - 1, u = w + r % 3 - 1;
          if (v < 0 || v > 3 || u < 0 || u > 4) continue;
          for (int c = 0; c < 2; ++c)
            sum += image[size_t((v * 5 + u) * 2 + c)] * double(float(filters[size_t((k * 9 + r) * 2 + c)]));
        }
        EXPECT_NEAR(got[size_t((h * 5 + w) * 3 + k)], std::tanh(sum), 1e-12);
      }
  Graph wrong;
  wrong.add<FixedConv>("fixed", {wrong.input({1, 4, 5, 3})}, FixedConv::Settings{3, 3, {1, 1, 1}, {1, 2, 3}});
  EXPECT_THROW(Program(wrong, s, {}), ShapeError);
}

/// Parameters and the picture itself, against central differences of Σ y·dy.
void check_gradients(const Net& net) {
  Stream s = Stream::cpu();
  Program p(net.graph, s, {.compute = DType::f64, .training = true, .input_gradients = true, .seed = 3});
  const Tensor x = p.tensor(net.x), y = p.tensor(net.y);
  const std::vector<double> picture = uniform_values(x.shape.numel(), 1, 0, net.white),
                            dy = uniform_values(y.shape.numel(), 2);
  set_values(s, x, picture);
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
  const auto check = [&](const std::string& what, Tensor t, const std::vector<double>& gradient, double step) {
    const std::vector<double> at = values_of(s, t);
    for (size_t i = 0; i < at.size(); i += at.size() / 3 + 1) {
      std::vector<double> moved = at;
      moved[i] = at[i] + step;
      set_values(s, t, moved);
      const double above = value();
      moved[i] = at[i] - step;
      set_values(s, t, moved);
      const double difference = (above - value()) / (2 * step);
      set_values(s, t, at);
      EXPECT_NEAR(gradient[i], difference, 1e-5 * std::max(1.0, std::abs(difference))) << what << "[" << i << "]";
    }
  };
  std::vector<std::vector<double>> gradients;
  for (const Param& q : p.params().all())
    gradients.push_back(q.trainable ? values_of(s, q.grad) : std::vector<double>());
  const std::vector<double> dx = values_of(s, p.gradient(net.x));
  for (size_t k = 0; k < gradients.size(); ++k) {
    const Param& q = p.params().all()[k];
    if (q.trainable) check(q.spec.names[0], q.value, gradients[k], 1e-6);
  }
  check("picture", x, dx, 4e-7 * net.white);
}
TEST(Locator, GradientsOfTheWholeNetAreItsDifferences) {
  for (const Build build : kAll) {
    SCOPED_TRACE(cat("net ", std::find(std::begin(kAll), std::end(kAll), build) - std::begin(kAll)));
    check_gradients(build(16, 8));
  }
}

class LocatorOnDevice : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, LocatorOnDevice, device_bodies(), device_label);

TEST_P(LocatorOnDevice, AgreesWithTheCpuNodeByNode) {
  for (const Build build : kAll)
    for (const auto& [type, tolerance] : {std::pair{DType::f32, 1e-3}, {DType::bf16, 3e-2}}) {
      const Net net = build(24, 16);
      Stream cpu = Stream::cpu(), device = stream();
      Program a(net.graph, cpu, {.compute = type, .seed = 1}), b(net.graph, device, {.compute = type, .seed = 1});
      for (Program* p : {&a, &b})
        set_values(p->stream(), p->tensor(net.x), uniform_values(p->tensor(net.x).shape.numel(), 2, 0, net.white));
      const Disagreement d = compare_programs(a, b, {}, {}, tolerance);
      EXPECT_FALSE(d.found) << d.text;
    }
}

}  // namespace
}  // namespace telltale
