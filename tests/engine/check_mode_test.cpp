// Two devices node by node, and what a program says it will take.
#include "engine/check_mode.h"

#include <gtest/gtest.h>

#include "kernels/device/host_values.h"
#include "kernels/device/host_work.h"
#include "losses/loss.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {
namespace {

constexpr int kBatch = 2, kSize = 64;

void fill(Stream& s, Tensor t, double low, double high) {
  set_values(s, t, uniform_values(t.shape.numel(), 3, low, high));
}

/// A detector in training on one device.
struct Side {
  Stream stream;
  Value x, y;
  std::unique_ptr<Program> program;
  OwnedTensor target, terms;
  Side(Stream s, const std::string& net, DType type) : stream(std::move(s)) {
    Graph g;
    x = g.input({kBatch, kSize, kSize, 3});
    y = detector_net(net).build(g, x, {.outputs = 5, .width = 0.125, .dropout = 0.5f});
    program = std::make_unique<Program>(g, stream, Options{.compute = type, .training = true, .seed = 1});
    fill(stream, program->tensor(x), -1, 1);
    target = OwnedTensor(stream.place(), {kBatch, 1, 1, 5}, DType::f32);
    fill(stream, target, 0, 1);
    terms = OwnedTensor(stream.place(), {kBatch, 1, 1, DetectionTerms::count}, DType::f32);
    program->set_state({.step = 1, .seed = 7, .samples = kBatch, .positives = kBatch});
  }
};

Disagreement compare(Side& a, Side& b, double tolerance) {
  const auto loss = make_detection_loss("giou", {});
  const auto head = [&](Side& s) { return Program::Head{s.y, loss.get(), s.target, s.terms}; };
  const Program::Head heads[] = {head(a), head(b)};
  return compare_programs(*a.program, *b.program, {heads, 1}, {heads + 1, 1}, tolerance);
}

class CheckMode : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, CheckMode, device_bodies(), device_label);

TEST_P(CheckMode, EveryDetectorsBackwardAgreesWithTheCpus) {
  for (const DetectorNet& net : detector_nets()) {
    for (DType type : {DType::f32, DType::bf16}) {
      if (type == DType::bf16 && net.name != std::string("resnet18")) continue;  // one stands for all
      Side a(Stream::cpu(), net.name, type), b(stream(), net.name, type);
      const Disagreement d = compare(a, b, type == DType::f32 ? 1e-3 : 3e-2);
      EXPECT_FALSE(d.found) << net.name << " " << name_of(type) << ": " << d.text;
      EXPECT_GT(d.tensors_compared, 20) << net.name;
    }
  }
}

TEST_P(CheckMode, ADifferenceInBackwardIsNamedAtItsNode) {
  Side a(Stream::cpu(), "resnet18", DType::f32), b(stream(), "resnet18", DType::f32);
  fill(b.stream, b.target, 0.3, 0.6);
  const Disagreement d = compare(a, b, 1e-3);
  EXPECT_TRUE(d.found);
  EXPECT_NE(d.text.find("fc backward"), std::string::npos) << d.text;
}

TEST(Footprint, IsWhatTheProgramThenTakes) {
  for (const DetectorNet& net : detector_nets()) {
    for (const Options& o : {Options{}, Options{.compute = DType::bf16, .training = true}, Options{.training = true}}) {
      Graph g;
      net.build(g, g.input({kBatch, kSize, kSize, 3}), {.outputs = 5, .width = 0.125});
      Stream s = Stream::cpu();
      const int64_t before = host_work().allocations;
      const Footprint f = Program::footprint(g, s, o);
      EXPECT_EQ(host_work().allocations, before) << "planning allocates nothing";
      EXPECT_EQ(f.total(), Program(g, s, o).total_bytes()) << net.name;
    }
  }
}

}  // namespace
}  // namespace telltale
