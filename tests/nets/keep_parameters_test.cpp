// A net that gives its parameters' memory back once it has run says what it says with them, again and again.
#include <gtest/gtest.h>

#include <functional>

#include "engine/layers/all.h"
#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "nets/locator.h"
#include "nets/nets.h"
#include "nets/trace_locator.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {
namespace {

/// Inputs of a net, and its outputs.
struct Built {
  std::vector<Value> in, out;
};
struct Case {
  std::string name;
  std::function<Built(Graph&)> build;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const DetectorNet& net : detector_nets())
    all.push_back({net.name, [&net](Graph& g) {
                     const Value x = g.input({1, 64, 64, 3});
                     return Built{{x}, {net.build(g, x, {.width = 0.125})}};
                   }});
  for (const GeneratorNet& net : generator_nets())
    all.push_back({net.name, [&net](Graph& g) {
                     const Value image = g.input({1, 32, 32, 3}), mask = g.input({1, 32, 32, 1});
                     return Built{{image, mask}, {net.build(g, image, mask, 8, {}).refined}};
                   }});
  all.push_back({"locator", [](Graph& g) {
                   const Value x = g.input({1, 32, 32, 3});
                   return Built{{x}, {locator(g, x)}};
                 }});
  all.push_back({"trace_locator", [](Graph& g) {
                   const Value x = g.input({1, 32, 32, 3});
                   return Built{{x}, {trace_locator(g, x)}};
                 }});
  return all;
}

class KeepParameters : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, KeepParameters, every_device(), device_label);

TEST_P(KeepParameters, OrNotTheNetSaysTheSame) {
  Stream s = stream();
  for (const Case& c : cases())
    for (DType type : {DType::f32, DType::bf16}) {
      SCOPED_TRACE(c.name + " in " + name_of(type));
      std::vector<std::vector<double>> said;
      for (bool keep : {true, false}) {
        Graph graph;
        const Built net = c.build(graph);
        for (Value v : net.out) graph.output(v);
        Program program(graph, s, {.compute = type, .seed = 3, .keep_parameters = keep});
        uint64_t seed = 7;
        for (Value v : net.in)
          set_values(s, program.tensor(v), uniform_values(program.tensor(v).shape.numel(), ++seed, 0, 1));
        const std::vector<Param>& params = program.params().all();
        for (int run = 0; run < 2; ++run) {
          program.forward();
          said.push_back(values_of(s, program.tensor(net.out[0])));
        }
        if (keep) continue;
        EXPECT_THROW(program.params(), Error);
        EXPECT_THROW(program.params_changed(), Error);
        // What was given back holds zeros. In 16 bits that is every master; in f32 what norms were folded into, while a
        // fully connected layer goes on reading its own.
        if (s.is_cuda() || (type == DType::f32 && !c.name.starts_with("resnet"))) continue;
        const auto largest = std::max_element(params.begin(), params.end(), [](const Param& a, const Param& b) {
          return a.value.shape.numel() < b.value.shape.numel();
        });
        ASSERT_GT(largest->value.bytes(), 3 * 4096u);
        const std::vector<double> values = values_of(s, largest->value);
        EXPECT_EQ(values[values.size() / 2], 0) << largest->spec.names[0];
      }
      for (const std::vector<double>& again : said) EXPECT_EQ(again, said[0]);
      EXPECT_NE(std::count_if(said[0].begin(), said[0].end(), [](double v) { return v != 0; }), 0);
    }
}

TEST(KeepParametersPlan, TrainingRefusesToLoseThem) {
  Stream s = Stream::open("cpu");
  Graph graph;
  const Value x = graph.input({1, 8, 8, 3});
  graph.output(graph.add<Conv>("conv", {x}, Conv::Settings{4, 3, {1, 1, 1}}));
  EXPECT_THROW(Program(graph, s, {.training = true, .keep_parameters = false}), ShapeError);
}

}  // namespace
}  // namespace telltale
