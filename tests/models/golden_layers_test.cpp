// Every layer through a program of its own, forward and backward, against PyTorch.
#include <set>

#include "engine/layers/all.h"
#include "engine/layers/bayar.h"
#include "kernels/adam.h"
#include "kernels/resample.h"
#include "tests/devices.h"
#include "tests/golden_case.h"

namespace telltale {
namespace {

constexpr double kForward = 1e-5, kGradient = 1e-4;

/// A graph of one layer, what its parameters are called in the case and in the graph, and which inputs take a gradient.
struct Wiring {
  Graph graph;
  std::vector<std::pair<Value, std::string>> inputs;
  std::vector<std::pair<std::string, std::string>> params;
  Value y;
  bool training = true;
  Value take(const LayerCase& c, const std::string& tensor, std::optional<DType> dtype = std::nullopt) {
    inputs.emplace_back(graph.input(c.shape(tensor), dtype), tensor);
    return inputs.back().first;
  }
};

ConvGeometry geometry(const LayerCase& c) { return {c.integer("stride"), c.integer("pad"), c.integer("dilation")}; }

Wiring wire(const LayerCase& c) {
  Wiring w;
  Graph& g = w.graph;
  const std::string op = c.op();
  if (op == "preprocess") {
    w.training = false;
    const Value x = w.take(c, "x", DType::u8);
    const Value flip = g.input({1, 1, 1, c.shape("x").n}, DType::u8);
    w.inputs.emplace_back(flip, "flip");
    Preprocess::Settings s{c.integer("h"), c.integer("w")};
    for (size_t k = 0; k < 3; ++k) {
      s.mean[k] = c.settings().at("mean").at(k);
      s.std[k] = c.settings().at("std").at(k);
    }
    w.y = g.add<Preprocess>("layer", {x, flip}, s);
    return w;
  }
  const Value x = w.take(c, "x");
  if (op == "conv") {
    const auto& d = c.dims("w");
    w.y = g.add<Conv>("layer", {x}, Conv::Settings{int(d[0]), int(d[2]), geometry(c), c.has("b"), c.act()});
    w.params = {{"w", "layer.weight"}};
    if (c.has("b")) w.params.emplace_back("b", "layer.bias");
  } else if (op == "bayar_conv") {
    const auto& d = c.dims("w");
    const BayarConv::Settings settings{int(d[0]), int(d[2]), geometry(c), float(c.number("scale"))};
    w.y = g.add<BayarConv>("layer", {x}, settings);
    w.params = {{"w", "layer.weight"}};
  } else if (op == "gated_conv") {
    const auto& d = c.dims("w");
    const Value in = c.flag("up") ? g.add<Upsample>("up", {x}, 2) : x;
    w.y = g.add<GatedConv>("layer", {in}, GatedConv::Settings{int(d[0]), int(d[2]), geometry(c), c.act()});
    w.params = {{"w", "layer.conv2d.weight"},
                {"b", "layer.conv2d.bias"},
                {"mask_w", "layer.mask_conv2d.weight"},
                {"mask_b", "layer.mask_conv2d.bias"}};
  } else if (op == "batch_norm") {
    w.y = g.add<BatchNorm>("layer", {x}, BatchNorm::Settings{c.number("eps"), c.number("momentum")});
    if (c.flag("residual")) w.y = g.add<Add>("add", {w.y, w.take(c, "residual")});
    if (c.act() != Act::none) w.y = g.add<Activation>("act", {w.y}, c.act());
    w.params = {{"weight", "layer.weight"},
                {"bias", "layer.bias"},
                {"running_mean", "layer.running_mean"},
                {"running_var", "layer.running_var"}};
    if (!c.flag("training")) g.freeze("layer");
  } else if (op == "max_pool") {
    w.y = g.add<MaxPool>("layer", {x}, c.integer("size"), c.integer("stride"), c.integer("pad"));
  } else if (op == "avg_pool") {
    w.y = g.add<AvgPool>("layer", {x}, c.integer("size"), c.integer("stride"), c.integer("pad"));
  } else if (op == "adaptive_avg_pool") {
    w.y = g.add<AdaptiveAvgPool>("layer", {x}, c.integer("h"), c.integer("w"));
  } else if (op == "linear") {
    w.y = g.add<Linear>("layer", {x}, Linear::Settings{int(c.dims("w")[0]), c.act()});
    w.params = {{"w", "layer.weight"}, {"b", "layer.bias"}};
  } else if (op == "activation") {
    w.y = g.add<Activation>("layer", {x}, c.act());
  } else if (op == "attention") {
    w.training = false;
    w.y = g.add<ContextualAttention>("layer", {x, w.take(c, "mask")});
  } else {
    ADD_FAILURE() << c.name() << ": no layer for op " << op;
  }
  return w;
}

void check_layer(Stream& s, const LayerCase& c, DType compute) {
  Wiring w = wire(c);
  Program p(w.graph, s, {.compute = compute, .training = w.training, .input_gradients = true});
  StateDict dict;
  for (const auto& [tensor, name] : w.params) dict.push_back(c.parameter(tensor, name));
  load_params(s, p.params(), dict);
  p.params_changed();
  for (const auto& [value, tensor] : w.inputs) {
    set_values(s, p.tensor(value), tensor == "flip" ? c.values(tensor) : c.nhwc(tensor));
  }
  p.forward();
  expect_close("y", values_of(s, p.tensor(w.y)), c.nhwc("y"), kForward);
  if (!w.training) return;
  for (const char* what : {"mean", "var"}) {
    const std::string tensor = cat("new_running_", what);
    if (!c.has(tensor)) continue;
    expect_close(tensor, values_of(s, p.params().find(cat("layer.running_", what))->value), c.values(tensor), kForward);
  }
  set_values(s, p.gradient(w.y), c.nhwc("dy"));
  p.backward(false);
  for (const auto& [value, tensor] : w.inputs) {
    expect_close("d" + tensor, values_of(s, p.gradient(value)), c.nhwc("d" + tensor), kGradient);
  }
  const StateDict gradients = params_dict(s, p.params(), ParamPart::grad);
  for (const auto& [tensor, name] : w.params) {
    if (const StateTensor* g = find(gradients, name))
      expect_close("d" + tensor, g->read(), c.values("d" + tensor), kGradient);
  }
}

void check_resize(Stream& s, const LayerCase& c, DType compute) {
  const OwnedTensor x(s.place(), c.shape("x"), compute), y(s.place(), c.shape("y"), compute);
  const OwnedTensor dy(s.place(), c.shape("y"), compute), dx(s.place(), c.shape("x"), compute);
  set_values(s, x, c.nhwc("x"));
  set_values(s, dy, c.nhwc("dy"));
  nearest_forward(s, x, y);
  nearest_backward(s, dy, dx);
  expect_close("y", values_of(s, y), c.nhwc("y"), kForward);
  expect_close("dx", values_of(s, dx), c.nhwc("dx"), kGradient);
}

void check_adam(Stream& s, const LayerCase& c, DType compute) {
  const Shape flat{1, 1, 1, int(c.values("p").size())};
  const OwnedTensor p(s.place(), flat, compute), grad(s.place(), flat, compute), m(s.place(), flat, compute),
      v(s.place(), flat, compute), state(s.place(), {1, 1, 1, int(sizeof(StepState))}, DType::u8);
  set_values(s, p, c.values("p"));
  fill_zero(s, m);
  fill_zero(s, v);
  AdamArgs a;
  a.master = p;
  a.grad = grad;
  a.m = m;
  a.v = v;
  a.count = flat.c;
  a.beta1 = c.settings().at("beta1");
  a.beta2 = c.settings().at("beta2");
  a.eps = c.settings().at("eps");
  a.weight_decay = c.settings().at("weight_decay");
  a.state = state.tensor.as<StepState>();
  for (int step = 1; step <= c.integer("steps"); ++step) {
    StepState now;
    now.step = step;
    now.lr = c.number("lr");
    upload(s, state, &now);
    set_values(s, grad, c.values(cat("g", step)));
    adam(s, a);
    expect_close(cat("p", step), values_of(s, p), c.values(cat("p", step)), kForward);
  }
  expect_close("m", values_of(s, m), c.values("m"), kForward);
  expect_close("v", values_of(s, v), c.values("v"), kForward);
}

void check_all(Stream& s, DType compute) {
  const Safetensors file = Safetensors::open(TT_SOURCE_DIR "/tests/golden/layers.safetensors");
  std::set<std::string> ops;
  for (const auto& [key, value] : file.metadata()) {
    if (value.empty() || value[0] != '{') continue;  // the file's own keys
    const LayerCase c(file, key, value);
    SCOPED_TRACE(cat(key, " in ", name_of(compute), " on ", s.description()));
    if (c.op() == "adam") {
      check_adam(s, c, compute);
    } else if (c.op() == "nearest") {
      check_resize(s, c, compute);
    } else {
      check_layer(s, c, compute);
    }
    ops.insert(c.op());
  }
  EXPECT_EQ(ops.size(), 13u) << "an op has lost its golden cases";
}

class GoldenLayersOn : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, GoldenLayersOn, every_device(), device_label);

TEST_P(GoldenLayersOn, InSingle) {
  Stream s = stream();
  check_all(s, DType::f32);
}
TEST(GoldenLayers, CpuInDouble) {
  Stream s = Stream::cpu();
  check_all(s, DType::f64);
}

}  // namespace
}  // namespace telltale
