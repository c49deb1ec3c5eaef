// Layers in ONNX's terms: what the model's bytes say, and what a layer without such a form does.
#include <gtest/gtest.h>

#include "base/check.h"
#include "engine/layers/adversary.h"
#include "models/onnx.h"

namespace telltale {
namespace {

TEST(OnnxGraph, SaysOperatorsConstantsAndEdges) {
  OnnxGraph g(false);
  const std::string one = g.constant(1);
  EXPECT_EQ(g.constant(1), one) << "a small constant stands once";
  EXPECT_NE(g.constant(2), one);
  g.add("Add", {"x", one}, {}, "y");
  g.input("x", OnnxType::f32, {"N", 3});
  g.output("y", OnnxType::f32, {"N", 3});
  const std::string model = g.model("small", {{"key", "value"}});
  const ProtoMessage node = ProtoMessage().text(1, "x").text(1, one).text(2, "y").text(3, "y").text(4, "Add");
  const ProtoMessage dims =
      ProtoMessage().message(1, ProtoMessage().text(2, "N")).message(1, ProtoMessage().integer(1, 3));
  const ProtoMessage x =
      ProtoMessage().text(1, "x").message(2, ProtoMessage().message(1, ProtoMessage().integer(1, 1).message(2, dims)));
  for (const ProtoMessage& part :
       {ProtoMessage().message(1, node), ProtoMessage().message(11, x), ProtoMessage().text(1, "").integer(2, 17)})
    EXPECT_NE(model.find(part.bytes()), std::string::npos);
  EXPECT_TRUE(is_our_onnx(std::span(reinterpret_cast<const unsigned char*>(model.data()), model.size())));
}

TEST(OnnxGraph, ALayerWithoutAFormIsNamed) {
  Graph graph;
  const Value x = graph.input({1, 8, 8, 3});
  const Value y = graph.add<LeakyRelu>("leaky", {x}, 0.2f);
  Stream stream = Stream::cpu(1);
  OnnxGraph g(false);
  try {
    put_into_onnx(graph, stream, {}, {{"x", x}}, {{"y", y}}, g);
    FAIL() << "a layer that has no form was put into one";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("leaky"), std::string::npos) << e.what();
  }
}

TEST(OnnxGraph, AWeightThatIsTooLargeForHalfIsNamed) {
  Graph graph;
  const Value x = graph.input({1, 4, 4, 1});
  const Value y = graph.add<Conv>("conv", {x}, Conv::Settings{1, 1, {}, false});
  Stream stream = Stream::cpu(1);
  const StateDict weights = {state_tensor("conv.weight", {1, 1, 1, 1}, {70000})};
  OnnxGraph half(true), whole(false);
  EXPECT_THROW(put_into_onnx(graph, stream, weights, {{"x", x}}, {{"y", y}}, half), DataError);
  put_into_onnx(graph, stream, weights, {{"x", x}}, {{"y", y}}, whole);
  EXPECT_FALSE(whole.fixed_size());
}

}  // namespace
}  // namespace telltale
