// A step as a graph: it does nothing a graph cannot hold, and replaying it gives the bits of running it.
#include "engine/capture.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/program.h"
#include "kernels/device/cuda_api.h"
#include "kernels/device/host_values.h"
#include "kernels/device/host_work.h"
#include "kernels/ordered_sum.h"
#include "losses/loss.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {
namespace {

void fill(Stream& s, Tensor t, double low, double high) {
  set_values(s, t, uniform_values(t.shape.numel(), 3, low, high));
}

/// A small detector in training, with all that a step needs in place.
class Training {
 public:
  Training(Stream& s, const std::string& net, DType type, float dropout, std::optional<bool> chains = {}) : stream_(s) {
    constexpr int kBatch = 4, kSize = 64;
    Graph g;
    const Value x = g.input({kBatch, kSize, kSize, 3});
    y_ = detector_net(net).build(g, x, {.outputs = 5, .width = 0.125, .dropout = dropout});
    program_ = std::make_unique<Program>(g, s, Options{.compute = type, .training = true, .chains = chains, .seed = 1});
    fill(s, program_->tensor(x), -1, 1);
    target_ = OwnedTensor(s.place(), {kBatch, 1, 1, 5}, DType::f32);
    losses_ = OwnedTensor(s.place(), {kBatch, 1, 1, loss_->terms()}, DType::f32);
    fill(s, target_, 0, 1);
  }
  void set_state() {
    ++state_.step;
    state_.lr = 1e-3f / float(state_.step);
    state_.samples = 4;
    state_.positives = 4;
    program_->set_state(state_);
  }
  /// What a graph records.
  void step() {
    program_->gradients(y_, *loss_, target_, losses_, false);
    program_->update(optimizer_);
  }
  /// Every bit that training leaves: masters, moments, gradients, losses.
  std::vector<unsigned char> bits() {
    std::vector<unsigned char> all;
    const ParamArena a = program_->params().arena();
    for (const Tensor& t : {a.master, a.m, a.v, a.grad, Tensor(losses_)}) {
      const size_t at = all.size();
      all.resize(at + t.bytes());
      download(stream_, all.data() + at, t);
    }
    return all;
  }

 private:
  Stream& stream_;
  Value y_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Loss> loss_ = make_detection_loss("giou", {});
  Adam optimizer_;
  OwnedTensor target_, losses_;
  StepState state_;
};

/// What `work` made the host do once everything had been sized.
HostWork host_work_of(const std::function<void()>& work) {
  work();
  work();
  const HostWork before = host_work();
  work();
  const HostWork& after = host_work();
  return {after.allocations - before.allocations, after.waits - before.waits, after.copies - before.copies};
}

void expect_nothing(const HostWork& w, const std::string& what) {
  EXPECT_EQ(w.allocations, 0) << what;
  EXPECT_EQ(w.waits, 0) << what;
  EXPECT_EQ(w.copies, 0) << what;
}

TEST(StepOnTheHost, NeitherAllocatesNorWaitsNorCopies) {
  for (const DetectorNet& net : detector_nets()) {
    Stream s = Stream::emulated();
    Training t(s, net.name, DType::bf16, 0.5f);
    t.set_state();
    expect_nothing(host_work_of([&] { t.step(); }), net.name);
  }
}

TEST(StepOnTheHost, NeitherDoChains) {
  for (const char* net : {"resnet18", "resnet50"}) {
    Stream s = Stream::emulated();
    Training t(s, net, DType::f16, 0, true);
    t.set_state();
    expect_nothing(host_work_of([&] { t.step(); }), net);
  }
}

/// After every epoch validation folds what was trained meanwhile.
TEST(StepOnTheHost, NeitherDoesFoldingBatchNorms) {
  for (const DType type : {DType::f32, DType::f16}) {
    Stream s = Stream::emulated();
    Graph g;
    const Value x = g.input({2, 64, 64, 3});
    detector_net("resnet18").build(g, x, {.outputs = 5, .width = 0.125});
    Program p(g, s, {.compute = type});
    fill(s, p.tensor(x), -1, 1);
    EXPECT_NE(p.summary().find("Conv+BatchNorm"), std::string::npos);
    expect_nothing(host_work_of([&] {
                     p.params_changed();
                     p.forward();
                   }),
                   name_of(type));
  }
}

TEST(StepOnTheHost, NeitherDoesInpainting) {
  Stream s = Stream::emulated();
  Graph g;
  const Value image = g.input({1, 32, 32, 3}), mask = g.input({1, 32, 32, 1});
  deepfill_v2(g, image, mask, 4);
  Program p(g, s, {});
  fill(s, p.tensor(image), 0, 1);
  fill(s, p.tensor(mask), 0, 0);
  expect_nothing(host_work_of([&] { p.forward(); }), "deepfill_v2");
}

TEST(StepOnTheHost, WhatAGraphCannotHoldIsCounted) {
  Stream s = Stream::cpu();
  OwnedTensor kept;
  const HostWork w = host_work_of([&] {
    kept = OwnedTensor(s.place(), {1, 1, 1, 4}, DType::f32);
    fill_zero(s, kept);
    float value[4];
    download(s, value, kept);
    s.sync();
  });
  EXPECT_EQ(w.allocations, 1);
  EXPECT_EQ(w.copies, 1);
  EXPECT_EQ(w.waits, 1);
}

TEST(CaptureOnTheHost, RunsEagerlyAndSaysWhy) {
  Stream s = Stream::cpu();
  Capture capture(s);
  int ran = 0;
  for (int i = 0; i < 5; ++i) capture.run([&] { ++ran; });
  EXPECT_EQ(ran, 5);
  EXPECT_FALSE(capture.replays());
  EXPECT_EQ(capture.why_eager(), "only a GPU replays graphs");
}

class Captured : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Captured, testing::Values("cuda"), device_label);

/// Two streams with a tensor each; what the second does may be in a recording of the first.
struct Beside {
  Stream compute, beside;
  OwnedTensor made, doubled;
  void *ready = cuda_api::create_event(), *done = cuda_api::create_event();
  explicit Beside(const std::string& device)
      : compute(Stream::open(device)),
        beside(Stream::open(device)),
        made(Place::cuda, {1, 1, 1, 64}, DType::f32),
        doubled(Place::cuda, {2, 1, 1, 64}, DType::f32) {}
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;
  ~Beside() {
    for (void* event : {ready, done}) cuda_api::destroy_event(event);
  }
  /// compute: made; beside: doubled ← made twice; compute: made ← the sum of both.
  void work(bool rejoin) {
    cuda_api::record_event(ready, compute.native());
    cuda_api::wait_event(beside.native(), ready);
    for (const int row : {0, 1}) copy(beside, {doubled.tensor.as<float>() + row * 64, {1, 1, 1, 64}, DType::f32}, made);
    if (!rejoin) return;
    cuda_api::record_event(done, beside.native());
    cuda_api::wait_event(compute.native(), done);
    ordered_sum(compute, doubled, made, false);
  }
};

TEST_P(Captured, AStreamThatWaitsForARecordingIsPartOfIt) {
  Beside b(GetParam());
  Capture capture(b.compute);
  set_values(b.compute, b.made, std::vector<double>(64, 1));
  for (int i = 0; i < 6; ++i) capture.run([&] { b.work(true); });
  EXPECT_TRUE(capture.replays()) << capture.why_eager();
  EXPECT_EQ(values_of(b.compute, b.made), std::vector<double>(64, 64));
}

TEST_P(Captured, WhatIsNotWaitedForInARecordingBreaksIt) {
  Beside b(GetParam());
  Capture capture(b.compute);
  set_values(b.compute, b.made, std::vector<double>(64, 3));
  for (int i = 0; i < 4; ++i) capture.run([&] { b.work(false); });
  EXPECT_FALSE(capture.replays());
  EXPECT_NE(capture.why_eager().find("unjoined"), std::string::npos) << capture.why_eager();
  b.beside.sync();
  EXPECT_EQ(values_of(b.beside, b.doubled), std::vector<double>(128, 3)) << "it goes on eagerly";
}

TEST_P(Captured, ReplayGivesTheBitsOfEagerRuns) {
  for (const char* net : {"resnet18", "resnet50", "alexnet", "vgg11"}) {
    for (DType type : {DType::f32, DType::bf16, DType::f16}) {
      Stream s = stream();
      Training eager(s, net, type, 0.5f), captured(s, net, type, 0.5f);
      Capture capture(s);
      for (int i = 0; i < 10; ++i) {
        eager.set_state();
        eager.step();
        captured.set_state();
        capture.run([&] { captured.step(); });
      }
      EXPECT_TRUE(capture.replays()) << net << ": " << capture.why_eager();
      EXPECT_EQ(eager.bits(), captured.bits()) << net << " " << name_of(type);
    }
  }
}

TEST_P(Captured, AWorkspaceThatGrewIsNoticed) {
  Stream s = stream();
  Training eager(s, "resnet18", DType::f32, 0), captured(s, "resnet18", DType::f32, 0);
  Capture capture(s);
  for (int i = 0; i < 8; ++i) {
    eager.set_state();
    eager.step();
    if (i == 5) s.workspace(size_t(1) << 30);
    captured.set_state();
    capture.run([&] { captured.step(); });
  }
  EXPECT_EQ(eager.bits(), captured.bits());
}

TEST_P(Captured, WorkThatCannotBeRecordedRunsEagerlyAndIsNamed) {
  Stream s = stream();
  const OwnedTensor t(s.place(), {1, 1, 1, 4}, DType::f32);
  Capture capture(s);
  int ran = 0;
  for (int i = 0; i < 5; ++i) {
    capture.run([&] {
      ++ran;
      fill_zero(s, t);
      s.sync();
    });
  }
  EXPECT_FALSE(capture.replays());
  EXPECT_EQ(ran, 6) << "five runs and one try";
  EXPECT_NE(capture.why_eager().find("1 waits"), std::string::npos) << capture.why_eager();
}

}  // namespace
}  // namespace telltale
