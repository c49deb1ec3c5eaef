// The discriminator: gradients through its spectral norm, what freezing holds constant, and devices agreeing.
#include "engine/layers/adversary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/check_mode.h"
#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {
namespace {

using Numbers = std::vector<double>;

Numbers random_numbers(Tensor t, uint64_t seed) { return uniform_values(t.shape.numel(), seed); }

struct Net {
  Graph graph;
  Value x, scores;
};
Net discriminator(int batch, int size, const PatchGanSettings& settings) {
  Net net;
  net.x = net.graph.input({batch, size, size, 4});
  net.scores = patch_gan(net.graph, net.x, settings);
  return net;
}

TEST(PatchGan, PublishedShapesAndParameters) {
  const Net net = discriminator(2, 256, {.width = 64});
  Stream s = Stream::cpu();
  const Program p(net.graph, s, {});
  EXPECT_EQ(p.tensor(net.scores).shape, (Shape{2, 4, 4, 256}));
  int64_t trained = 0;
  for (const Param& q : p.params().all()) trained += q.spec.trainable ? q.spec.shape.numel() : 0;
  // 25·(4·64 + 64·128 + 128·256 + 3·256²) filters and 64 + 128 + 4·256 biases.
  EXPECT_EQ(trained, 5946816);
}

/// Runs every filter's power iteration to its end, where the gradient with u and v held is the gradient: σ is at its
/// maximum over them.
void converge(Program& p) {
  Stream& s = p.stream();
  for (const Param& filter : p.params().all()) {
    const std::string& name = filter.spec.names[0];
    if (!name.ends_with(".weight_orig")) continue;
    const std::string layer = name.substr(0, name.rfind('.'));
    const Tensor ut = p.params().find(layer + ".weight_u")->value, vt = p.params().find(layer + ".weight_v")->value;
    const Numbers w = values_of(s, filter.value);
    Numbers u = values_of(s, ut), v = values_of(s, vt);
    const auto normalise = [](Numbers& x) {
      double sum = 0;
      for (double e : x) sum += e * e;
      for (double& e : x) e /= std::sqrt(sum);
    };
    for (int i = 0; i < 3000; ++i) {
      std::fill(v.begin(), v.end(), 0);
      for (size_t k = 0; k < w.size(); ++k) v[k % v.size()] += w[k] * u[k / v.size()];
      normalise(v);
      std::fill(u.begin(), u.end(), 0);
      for (size_t k = 0; k < w.size(); ++k) u[k / v.size()] += w[k] * v[k % v.size()];
      normalise(u);
    }
    set_values(s, ut, u);
    set_values(s, vt, v);
  }
}

/// Σ scores·weights, whose gradient in the scores is the weights.
struct Objective {
  Program& program;
  Net& net;
  Numbers weights;
  double operator()() const {
    program.params_changed();
    program.forward();
    const Numbers y = values_of(program.stream(), program.tensor(net.scores));
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += y[i] * weights[i];
    return sum;
  }
  void backward() const {
    (*this)();
    set_values(program.stream(), program.gradient(net.scores), weights);
    program.backward(false);
  }
};

double worst_gradient_error(const Objective& objective, Tensor x, const Numbers& gradients, int probes) {
  double worst = 0;
  Random random(9);
  for (int k = 0; k < probes; ++k) {
    const size_t i = size_t(random.integer(0, x.shape.numel() - 1));
    double& at = x.as<double>()[i];
    const double start = at;
    double best = 1e9;  // a step may cross a leaky ReLU's kink: a wrong gradient is wrong at every step width
    for (const double h : {1e-6, 1e-7, 1e-5}) {
      at = start + h;
      const double up = objective();
      at = start - h;
      const double down = objective();
      at = start;
      best = std::min(best, std::abs((up - down) / (2 * h) - gradients[i]) / std::max(1.0, std::abs(gradients[i])));
    }
    worst = std::max(worst, best);
  }
  return worst;
}

/// Of its input and of whatever trains, by central differences.
void expect_own_gradients(const PatchGanSettings& settings) {
  Net net = discriminator(2, 16, settings);
  Stream s = Stream::cpu();
  Program p(net.graph, s, {.compute = DType::f64, .training = true, .input_gradients = true, .seed = 3});
  if (settings.grain > 0) {
    p.params().write(s, *p.params().find(cat(kPatchGanGrain, ".weight")), patch_gan_grain(settings.grain));
  }
  set_values(s, p.tensor(net.x), random_numbers(p.tensor(net.x), 1));
  const Objective objective{p, net, random_numbers(p.tensor(net.scores), 2)};
  converge(p);
  objective.backward();
  EXPECT_LT(worst_gradient_error(objective, p.tensor(net.x), values_of(s, p.gradient(net.x)), 12), 1e-6);
  for (const Param& q : p.params().all()) {
    if (!q.trainable) continue;
    EXPECT_LT(worst_gradient_error(objective, q.value, values_of(s, q.grad), 3), 1e-6) << q.spec.names[0];
  }
}

TEST(PatchGan, GradientsInDouble) { expect_own_gradients({.width = 2}); }

TEST(PatchGan, GradientsInDoubleOfFewerLayersThatSeeGrain) {
  expect_own_gradients({.width = 2, .layers = 3, .grain = 4});
}

TEST(PatchGan, FewerLayersGiveMorePatches) {
  Stream s = Stream::cpu();
  for (const int layers : {1, 2, 3, 4, 5, 6}) {
    const Net net = discriminator(1, 128, {.width = 2, .layers = layers});
    const Program p(net.graph, s, {});
    const int side = 128 >> layers;
    EXPECT_EQ(p.tensor(net.scores).shape, (Shape{1, side, side, 2 * std::min(1 << (layers - 1), 4)}));
  }
  for (const int layers : {0, 7}) EXPECT_THROW(discriminator(1, 128, {.width = 2, .layers = layers}), ShapeError);
}

/// What the layer "grain" makes of an image {1,16,16,4}.
Numbers grain_of(const Numbers& image, double grain) {
  Net net = discriminator(1, 16, {.width = 2, .layers = 1, .grain = grain});
  Stream s = Stream::cpu();
  Program p(net.graph, s, {.compute = DType::f64, .training = true});
  p.params().write(s, *p.params().find(cat(kPatchGanGrain, ".weight")), patch_gan_grain(grain));
  set_values(s, p.tensor(net.x), image);
  Numbers seen;
  p.observe([&](Program::Step step, const Layer& layer, const Io& io) {
    if (layer.name == kPatchGanGrain && !step.backward) seen = values_of(s, io.y);
  });
  p.forward();
  return seen;
}

TEST(PatchGan, GrainIsWhatABlurTakesAway) {
  constexpr int kSide = 16;
  Numbers image(size_t(kSide) * kSide * 4);
  const auto at = [](int y, int x, int c, int channels) { return size_t((y * kSide + x) * channels + c); };
  // Red rises evenly, green is a chequerboard, blue one bright point; the mask must not be seen.
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      image[at(y, x, 0, 4)] = 0.03 * y + 0.01 * x;
      image[at(y, x, 1, 4)] = (x + y) % 2;
      image[at(y, x, 2, 4)] = y == 8 && x == 8;
      image[at(y, x, 3, 4)] = y > 7;
    }
  }
  constexpr double kGrain = 5;
  const Numbers seen = grain_of(image, kGrain);
  ASSERT_EQ(seen.size(), size_t(kSide) * kSide * 3);
  for (int y = 2; y < kSide - 2; ++y) {  // further out the padding's zeros are seen, too
    for (int x = 2; x < kSide - 2; ++x) {
      EXPECT_NEAR(seen[at(y, x, 0, 3)], 0, 1e-6);
      EXPECT_NEAR(seen[at(y, x, 1, 3)], kGrain * ((x + y) % 2 ? 0.5 : -0.5), 1e-6);
    }
  }
  EXPECT_NEAR(seen[at(8, 8, 2, 3)], kGrain * (1 - 36. / 256), 1e-6);
  EXPECT_NEAR(seen[at(8, 10, 2, 3)], -kGrain * 6. / 256, 1e-6);
  EXPECT_EQ(seen[at(8, 11, 2, 3)], 0);
}

TEST(PatchGan, AFrozenOneGivesGradientsOfItsInputAndStaysAsItIs) {
  Net trained = discriminator(2, 16, {.width = 2}), frozen = discriminator(2, 16, {.width = 2});
  frozen.graph.freeze("");
  Stream s = Stream::cpu();
  Program a(trained.graph, s, {.compute = DType::f64, .training = true, .input_gradients = true, .seed = 3});
  Program b(frozen.graph, s, {.compute = DType::f64, .training = true, .input_gradients = true, .seed = 4});
  const Numbers x = random_numbers(a.tensor(trained.x), 1), weights = random_numbers(a.tensor(trained.scores), 2);
  for (Program* p : {&a, &b}) set_values(s, p->tensor(p == &a ? trained.x : frozen.x), x);
  converge(a);
  b.params().copy_from(s, a.params());
  const Numbers u = values_of(s, b.params().find("conv3.weight_u")->value);
  Objective{a, trained, weights}.backward();
  Objective{b, frozen, weights}.backward();
  const Numbers dx = values_of(s, a.gradient(trained.x)), constant_dx = values_of(s, b.gradient(frozen.x));
  for (size_t i = 0; i < dx.size(); ++i) ASSERT_NEAR(dx[i], constant_dx[i], 1e-12 * (1 + std::abs(dx[i])));
  EXPECT_EQ(b.params().arena().count, 0);
  EXPECT_EQ(u, values_of(s, b.params().find("conv3.weight_u")->value));
}

TEST(PatchGan, NormalisedFiltersHaveNoLargerSingularValueThanOne) {
  Net net = discriminator(1, 16, {.width = 2});
  Stream s = Stream::cpu();
  Program p(net.graph, s, {.training = true, .seed = 3});
  const Param& w = *p.params().find("conv2.weight_orig");
  Numbers large = p.params().read(s, w);
  for (double& v : large) v *= 50;
  p.params().write(s, w, large);
  set_values(s, p.tensor(net.x), random_numbers(p.tensor(net.x), 1));
  double norm = 0;
  p.observe([&](Program::Step step, const Layer& layer, const Io& io) {
    if (layer.name != "conv2" || step.backward) return;
    norm = 0;
    for (double v : values_of(s, io.saved[0])) norm += v * v;
  });
  converge(p);
  p.forward();
  // Frobenius: between the largest singular value, 1, and √rank of it.
  EXPECT_GE(norm, 1 - 1e-4);
  EXPECT_LE(norm, 4 + 1e-4);
}

class PatchGanBodies : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, PatchGanBodies, device_bodies(), device_label);

TEST_P(PatchGanBodies, AgreeWithTheCpu) {
  const Net net = discriminator(2, 32, {.width = 3});
  Stream cpu = Stream::cpu(), device = stream();
  Program a(net.graph, cpu, {.training = true, .seed = 1}), b(net.graph, device, {.training = true, .seed = 1});
  for (Program* p : {&a, &b}) {
    set_values(p->stream(), p->tensor(net.x), random_numbers(p->tensor(net.x), 2));
    p->forward();
    set_values(p->stream(), p->gradient(net.scores), random_numbers(p->tensor(net.scores), 3));
  }
  const Disagreement d = compare_programs(a, b, {}, {}, 1e-4);
  EXPECT_FALSE(d.found) << d.text;
  EXPECT_EQ(d.tensors_compared, 12);
}

}  // namespace
}  // namespace telltale
