// Every generator must train: its gradients, through both of its outputs and every layer at once.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {

void PrintTo(const GeneratorNet& net, std::ostream* out) { *out << net.name; }

namespace {

/// Holes of no simple shape, another for every sample: discs and a slanted stripe.
std::vector<double> irregular_mask(const Shape& shape) {
  std::vector<double> mask;
  for (int n = 0; n < shape.n; ++n)
    for (int i = 0; i < shape.h; ++i)
      for (int j = 0; j < shape.w; ++j) {
        const bool disc = std::hypot(i - 9 - 4 * n, j - 7 - 6 * n) < 5.5, stripe = std::abs(i + 2 * j - 62) < 3 - n;
        mask.push_back(disc || stripe ? 1 : 0);
      }
  return mask;
}

/// A generator with inputs and parameters in place; its objective is a weighted sum of both outputs.
class TinyGenerator {
 public:
  TinyGenerator(Stream& s, DType type, const GeneratorNet& net, const Shape& size)
      : image_(graph_.input(size)),
        mask_(graph_.input({size.n, size.h, size.w, 1})),
        out_(net.build(graph_, image_, mask_, net.width_step)),
        program(graph_, s, {.compute = type, .training = true, .input_gradients = true, .seed = 5}),
        coarse_weights_(uniform_values(size.numel(), 2, -1, 1)),
        refined_weights_(uniform_values(size.numel(), 3, -1, 1)),
        stream_(s) {
    set_values(s, program.tensor(image_), uniform_values(size.numel(), 1, net.black, 1));
    set_values(s, program.tensor(mask_), irregular_mask(size));
    uint64_t seed = 10;
    for (const Param& p : program.params().all()) {  // strong enough that the signal lives through the gates
      const double bound = p.spec.shape.h > 1 ? 3.5 / std::sqrt(double(p.spec.shape.numel()) / p.spec.shape.n) : 0.2;
      set_values(s, p.value, uniform_values(p.spec.shape.numel(), ++seed, -bound, bound));
    }
    program.params_changed();
  }

  double objective() {
    program.forward();
    stream_.sync();
    return dot(out_.coarse, coarse_weights_) + dot(out_.refined, refined_weights_);
  }
  void backward() {
    program.forward();
    set_values(stream_, program.gradient(out_.coarse), coarse_weights_);
    set_values(stream_, program.gradient(out_.refined), refined_weights_);
    program.backward(false);
    stream_.sync();
  }
  Tensor image() const { return program.tensor(image_); }
  Tensor image_gradient() const { return program.gradient(image_); }

 private:
  double dot(Value v, const std::vector<double>& weights) {
    const std::vector<double> y = values_of(stream_, program.tensor(v));
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += y[i] * weights[i];
    return sum;
  }
  Graph graph_;
  Value image_, mask_;
  Inpainted out_;

 public:
  Program program;

 private:
  std::vector<double> coarse_weights_, refined_weights_;
  Stream& stream_;
};

/// How far a gradient is from the central difference, at best over step widths: a step may cross a relu's kink.
double gradient_error(TinyGenerator& net, double& at, double gradient) {
  const double start = at;
  double best = INFINITY;
  for (const double h : {1e-5, 1e-6, 1e-4}) {
    at = start + h;
    net.program.params_changed();
    const double up = net.objective();
    at = start - h;
    net.program.params_changed();
    const double down = net.objective();
    at = start;
    best = std::min(best, std::abs((up - down) / (2 * h) - gradient) / std::max(1e-2, std::abs(gradient)));
    if (best < 1e-6) break;
  }
  net.program.params_changed();
  return best;
}

class Generator : public testing::TestWithParam<GeneratorNet> {};
INSTANTIATE_TEST_SUITE_P(Families, Generator, testing::ValuesIn(generator_nets()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(Generator, GradientsInDouble) {
  Stream s = Stream::cpu();
  TinyGenerator net(s, DType::f64, GetParam(), {2, 32, 24, 3});
  net.backward();
  Random random(4);
  struct Probe {
    std::string name;
    double* at;
    double gradient;
  };
  std::vector<Probe> probes;
  const auto probe = [&](const std::string& name, Tensor value, Tensor gradients) {
    // The largest of a few: a gradient that nearly vanishes proves little.
    Probe best{name, nullptr, 0};
    for (int k = 0; k < 8; ++k) {
      const int64_t i = random.integer(0, value.shape.numel() - 1);
      const double gradient = gradients.as<double>()[i];
      if (!best.at || std::abs(gradient) > std::abs(best.gradient)) best = {name, value.as<double>() + i, gradient};
    }
    probes.push_back(best);
  };
  for (int k = 0; k < 4; ++k) probe("image", net.image(), net.image_gradient());
  for (const Param& p : net.program.params().all()) {
    if (random.integer(0, p.spec.shape.h > 1 ? 1 : 5) == 0) probe(p.spec.names[0], p.value, p.grad);
  }
  int alive = 0;
  for (const Probe& p : probes) {
    alive += std::abs(p.gradient) > 1e-3;
    EXPECT_LT(gradient_error(net, *p.at, p.gradient), 1e-6) << p.name << ", gradient " << p.gradient;
  }
  EXPECT_GT(alive, int(probes.size()) / 2) << "the check needs gradients worth comparing";
}

class GeneratorBodies : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, GeneratorBodies, device_bodies(), device_label);

TEST_P(GeneratorBodies, GiveTheSameGradients) {
  for (const GeneratorNet& family : generator_nets()) {
    Stream cpu = Stream::cpu(), device = stream();
    TinyGenerator a(cpu, DType::f64, family, {2, 32, 24, 3}), b(device, DType::f64, family, {2, 32, 24, 3});
    a.backward();
    b.backward();
    const std::vector<double> x = values_of(cpu, a.program.params().arena().grad),
                              y = values_of(device, b.program.params().arena().grad);
    ASSERT_EQ(x.size(), y.size());
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-10 * (1 + std::abs(x[i]))) << family.name;
  }
}

}  // namespace
}  // namespace telltale
