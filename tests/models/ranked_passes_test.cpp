// The sum of gradients over passes and processes, as far as one process can see it.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>

#include "engine/layers/all.h"
#include "kernels/device/half.h"
#include "kernels/device/host_values.h"
#include "kernels/device/host_work.h"
#include "losses/loss.h"
#include "models/training/ranks.h"
#include "tests/values.h"

namespace {
std::atomic<int64_t> taken_from_heap = 0;
}  // namespace
[[gnu::noinline]] void* operator new(size_t bytes) {
  ++taken_from_heap;
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace telltale {
namespace {

/// Passes x on, and looks at the world when backward comes through.
class Watch : public LayerOf<Watch> {
 public:
  explicit Watch(const std::function<void()>* look) : look_(look) {}
  std::string describe() const override { return "Watch"; }
  Spec plan(const PlanContext&, std::span<const Shape> x) const override {
    Spec spec;
    spec.y = x[0];
    return spec;
  }
  void forward(Stream& s, const Io& io) const override { copy(s, io.y, io.x[0]); }
  void backward(Stream& s, const Io& io) const override {
    if (*look_) (*look_)();
    if (io.dx_mode[0] != GradMode::ignore) copy(s, io.dx[0], io.dy);
  }

 private:
  const std::function<void()>* look_;
};

/// Two layers with something in between that can look at gradients while backward runs.
class Net {
 public:
  explicit Net(DType type = DType::f32) {
    Graph g;
    x_ = g.input({4, 1, 1, 30});
    const Value a = g.add<Linear>("first", {x_}, Linear::Settings{50}), b = g.add<Watch>("watch", {a}, &look);
    y_ = g.add<Linear>("last", {b}, Linear::Settings{5});
    program =
        std::make_unique<Program>(g, stream, Options{.compute = type, .training = true, .fuse = false, .seed = 1});
    target_ = OwnedTensor(stream.place(), {4, 1, 1, 5}, DType::f32);
    terms_ = OwnedTensor(stream.place(), {4, 1, 1, loss_->terms()}, DType::f32);
    set_values(stream, target_, uniform_values(20, 7, 0, 1));
    program->set_state({.step = 1, .samples = 4, .positives = 4});
  }
  void pass(int seed, bool accumulate) {
    set_values(stream, program->tensor(x_), uniform_values(120, unsigned(seed), -1, 1));
    program->gradients(y_, *loss_, target_, terms_, accumulate);
  }
  std::vector<float> gradients() const {
    const ParamArena a = program->params().arena();
    return {a.grad.as<float>(), a.grad.as<float>() + a.count};
  }
  /// Of one parameter.
  std::vector<float> gradients(const std::string& name) const {
    const Tensor t = program->params().find(name)->grad;
    return {t.as<float>(), t.as<float>() + t.shape.numel()};
  }
  Stream stream = Stream::cpu(1);
  std::function<void()> look;
  std::unique_ptr<Program> program;

 private:
  Value x_, y_;
  std::unique_ptr<Loss> loss_ = make_detection_loss("giou", {});
  OwnedTensor target_, terms_;
};

/// To nearest even, by arithmetic: bf16 keeps 8 bits.
float rounded_to_bf16(float v) {
  int exponent = 0;
  const double m = std::frexp(double(v), &exponent) * 256;
  return float(std::ldexp(std::nearbyint(m), exponent - 8));
}
bool all_bf16(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return rounded_to_bf16(v) == v; });
}

TEST(GradientBuckets, EndWithAParameterAndHoldWhatWasAsked) {
  const Net net;
  const int64_t count = net.program->params().arena().count;
  std::vector<int64_t> begins;
  for (const Param& p : net.program->params().all())
    if (p.trainable) begins.push_back(p.offset);
  std::sort(begins.begin(), begins.end());
  const auto each = gradient_buckets(net.program->params(), 1);
  ASSERT_EQ(each.size(), begins.size());
  for (size_t b = 0; b < each.size(); ++b) {
    EXPECT_EQ(each[b].last, begins[b]);
    EXPECT_EQ(each[b].end, b + 1 < begins.size() ? begins[b + 1] : count);
  }
  const auto whole = gradient_buckets(net.program->params(), 1e9);
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].last, begins.back());
  EXPECT_EQ(whole[0].end, count);
  // The last layer's bias (64 with padding) and weight (256) reach 1 000 bytes together, and then the first layer's.
  const auto some = gradient_buckets(net.program->params(), 1000);
  ASSERT_EQ(some.size(), 2u);
  EXPECT_EQ(some[0].end, begins[2]);
  EXPECT_EQ(some[1].end, count);
}

TEST(RankedPasses, ALoneProcessPaysNothing) {
  Net net, plain;
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const auto before = threads();
  RankedPasses rounds(Ranks::none(), *net.program, GradientExchange{}, /*synced=*/false);
  EXPECT_TRUE(rounds.add_in_backward());
  Capture capture(net.stream);
  const auto step = [&](Net& n, bool with) {
    for (int p = 0; p < 3; ++p) {
      if (with) rounds.begin_round(1, p == 2);
      with ? rounds.pass([&] { n.pass(p, p > 0); }, &capture) : n.pass(p, p > 0);
      if (with) rounds.end_round();
    }
    if (!with) return;
    rounds.end_step(1);
    rounds.await(1);
  };
  step(net, true);
  step(plain, false);
  const HostWork counted = host_work();
  const int64_t heap = taken_from_heap;
  for (int p = 0; p < 100; ++p) {
    rounds.begin_round(1, true);
    rounds.pass([] {}, &capture);
    rounds.end_round();
    rounds.end_step(p);
    rounds.await(p);
  }
  EXPECT_EQ(taken_from_heap, heap) << "nothing is kept";
  EXPECT_EQ(host_work(), counted) << "nothing is copied or waited for";
  EXPECT_EQ(threads(), before);
  step(net, true);
  step(plain, false);
  EXPECT_EQ(net.gradients(), plain.gradients());
  std::ifstream maps("/proc/self/maps");
  const std::string all{std::istreambuf_iterator<char>(maps), {}};
  for (const char* library : {"libtelltale_mpi", "libmpi", "libnccl"})
    EXPECT_EQ(all.find(library), std::string::npos) << library << " is not even opened";
}

/// Observes nothing: a program that runs alone calls nobody after its layers.
TEST(RankedPasses, ALoneProcessObservesNothing) {
  Net net;
  int seen = 0;
  net.program->observe([&](Program::Step, const Layer&, const Io&) { ++seen; });
  const RankedPasses rounds(Ranks::none(), *net.program, GradientExchange{}, false);
  net.pass(0, false);
  EXPECT_EQ(seen, 6) << "three layers, forward and backward, seen by who looked before";
}

TEST(RankedPasses, ABucketGoesWhileBackwardRuns) {
  for (const double mb : {1e-6, 0.001, 25.0, 0.0}) {
    Net net;
    bool last_layer_gone = false, first_layer_gone = true;
    RankedPasses rounds(Ranks::none(), *net.program, {.bucket_mb = mb, .bf16 = true}, false);
    net.look = [&] {
      last_layer_gone = all_bf16(net.gradients("last.weight"));
      first_layer_gone = all_bf16(net.gradients("first.weight"));
    };
    net.program->params().find("first.weight")->grad.as<float>()[0] = 0.1f;  // no bf16
    rounds.begin_round(1, true);
    rounds.pass([&] { net.pass(0, false); });
    const bool all_gone_in_backward = all_bf16(net.gradients());
    rounds.end_round();
    EXPECT_TRUE(all_bf16(net.gradients()));
    EXPECT_FALSE(first_layer_gone) << "which is not made yet";
    const bool small = mb > 0 && mb < 1;
    EXPECT_EQ(last_layer_gone, small) << "buckets of " << mb << " MB";
    EXPECT_EQ(all_gone_in_backward, mb > 0) << mb;
  }
}

TEST(RankedPasses, Bf16IsRoundingOnTheWayThereAndBack) {
  for (const int passes : {1, 2, 3, 5}) {
    Net net, plain;
    RankedPasses rounds(Ranks::none(), *net.program, {.bucket_mb = 0.001, .bf16 = true}, false);
    EXPECT_FALSE(rounds.add_in_backward());
    for (int step = 0; step < 2; ++step) {
      std::vector<float> sum;
      for (int p = 0; p < passes; ++p) {
        plain.pass(10 * step + p, false);
        const std::vector<float> of_pass = plain.gradients();
        if (p == 0) sum.assign(of_pass.size(), 0);
        for (size_t i = 0; i < sum.size(); ++i)
          sum[i] = p == 0 ? rounded_to_bf16(of_pass[i]) : sum[i] + rounded_to_bf16(of_pass[i]);
        rounds.begin_round(1, p + 1 == passes);
        rounds.pass([&] { net.pass(10 * step + p, false); });
        rounds.end_round();
      }
      for (float& v : sum) v = rounded_to_bf16(v);
      EXPECT_EQ(net.gradients(), sum) << passes << " passes";
    }
  }
}

TEST(RankedPasses, Bf16IsForGradientsInF32) {
  Net net(DType::f64);
  EXPECT_THROW(RankedPasses(Ranks::none(), *net.program, {.bf16 = true}, false), UsageError);
}

}  // namespace
}  // namespace telltale
