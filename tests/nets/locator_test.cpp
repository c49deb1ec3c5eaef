// The locator: shapes, gradients of the whole net in double, and every device node by node.
#include "nets/locator.h"

#include <cmath>

#include "engine/check_mode.h"
#include "engine/layers/fixed.h"
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
Net small(int height, int width, bool residuals = true) {
  Net net;
  net.x = net.graph.input({2, height, width, 3});
  net.y = locator(net.graph, net.x, {.width = 4, .residuals = residuals});
  return net;
}

TEST(Locator, SaysOneLogitForFourPixelsOfAnySizeOfEights) {
  Stream s = Stream::cpu();
  for (const auto& [height, width] : {std::pair{8, 8}, {16, 40}, {64, 24}}) {
    const Net net = small(height, width);
    const Program p(net.graph, s, {});
    EXPECT_EQ(p.tensor(net.y).shape, (Shape{2, height / 2, width / 2, 1}));
  }
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
TEST(Locator, GradientsOfTheWholeNetAreItsDifferences) {
  Stream s = Stream::cpu();
  const Net net = small(16, 8);
  Program p(net.graph, s, {.compute = DType::f64, .training = true, .input_gradients = true, .seed = 3});
  const Tensor x = p.tensor(net.x), y = p.tensor(net.y);
  const std::vector<double> picture = uniform_values(x.shape.numel(), 1, 0, 255),
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
  check("picture", x, dx, 1e-4);
}

class LocatorOnDevice : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, LocatorOnDevice, device_bodies(), device_label);

TEST_P(LocatorOnDevice, AgreesWithTheCpuNodeByNode) {
  for (const bool residuals : {true, false})
    for (const auto& [type, tolerance] : {std::pair{DType::f32, 1e-3}, {DType::bf16, 3e-2}}) {
      const Net net = small(24, 16, residuals);
      Stream cpu = Stream::cpu(), device = stream();
      Program a(net.graph, cpu, {.compute = type, .seed = 1}), b(net.graph, device, {.compute = type, .seed = 1});
      for (Program* p : {&a, &b})
        set_values(p->stream(), p->tensor(net.x), uniform_values(p->tensor(net.x).shape.numel(), 2, 0, 255));
      const Disagreement d = compare_programs(a, b, {}, {}, tolerance);
      EXPECT_FALSE(d.found) << d.text;
    }
}

}  // namespace
}  // namespace telltale
