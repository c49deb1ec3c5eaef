#include "models/onnx.h"

#include <algorithm>
#include <cmath>

#include "engine/program.h"
#include "models/detector/detector.h"
#include "models/families.h"
#include "models/locator/locator.h"
#include "nets/nets.h"
#include "weights/names.h"

namespace telltale {
namespace {

/// A net, and where its edge is.
struct Exported {
  Graph graph;
  std::vector<OnnxEdge> inputs, outputs;
  StateDict weights;
  Metadata metadata;
  bool one_size = false;  ///< another size would run, but is not what the net learnt
};

constexpr int kUsualSize = 256;

Exported exported_locator(const WeightsFile& file, int size) {
  const LocatorInfo info = locator_info(file.path(), file.metadata());
  PictureGraph net = locator_graph(info, {1, size, size, 3});
  return {std::move(net.graph), {{"pixels", net.pixels}}, {{"logits", net.heads[0]}}, file.state_dict(), {}, false};
}

Exported exported_detector(const WeightsFile& file, StateDict dict, const NetIdentity& found) {
  DetectorInfo info{.net = found.family, .outputs = int(found.outputs)};
  if (file.metadata().contains("net")) {
    info = detector_info(file.path(), file.metadata());
  } else {
    constexpr int kPublishedWidth = 64;  // of every detector's first filter
    info.width = double(found.width) / kPublishedWidth;
  }
  PictureGraph net = detector_graph(info, 1, info.size, 0);
  return {std::move(net.graph), {{"pixels", net.pixels}}, {{"raw", net.heads[0]}},
          std::move(dict),      detector_metadata(info),  true};
}

Exported exported_generator(StateDict dict, const NetIdentity& found, int size) {
  const GeneratorNet& net = generator_net(found.family);
  Exported e;
  const Value image = e.graph.input({1, size, size, 3}), mask = e.graph.input({1, size, size, 1});
  const Inpainted painted = net.build(e.graph, image, mask, int(found.width));
  e.inputs = {{"image", image}, {"mask", mask}};
  e.outputs = {{"painted", painted.refined}};
  e.weights = std::move(dict);
  e.metadata = {{"family", found.family}, {"width", std::to_string(found.width)}, {"black", cat(net.black)}};
  return e;
}

Exported exported(const WeightsFile& file, const OnnxSettings& s) {
  const int size = s.size ? s.size : kUsualSize;
  if (is_locator(file.metadata())) return exported_locator(file, size);
  StateDict dict = net_parameters(without_wrapper_prefix(file.state_dict()));
  try {
    const NetIdentity found = identify(dict, families_for(file.metadata()));
    if (found.outputs) return exported_detector(file, std::move(dict), found);
    return exported_generator(std::move(dict), found, size);
  } catch (const DataError& e) {
    throw DataError(cat(file.path(), ": ", e.what()));
  }
}

using Dimensions = std::vector<OnnxGraph::Dimension>;

/// {N,H,W,C} as the edge has it.
Dimensions edge_dims(const Shape& s, const OnnxGraph& g, const std::string& rows, const std::string& columns) {
  if (g.fixed_size()) return {"N", int64_t(s.h), int64_t(s.w), int64_t(s.c)};
  return {"N", rows, columns, int64_t(s.c)};
}

/// One of a parameter's tensors. A state_dict has a filter of a single number a channel as [C]; Conv wants its four
/// axes.
void add_weight(OnnxGraph& g, const ParamSpec& spec, const StateTensor& t) {
  const Shape& w = spec.shape;
  const bool filter = !spec.is_linear && !spec.keep_f32;
  const std::vector<int64_t> dims =
      filter ? std::vector<int64_t>{w.n / int64_t(spec.names.size()), w.c, w.h, w.w} : t.info.shape;
  std::vector<float> values;
  constexpr double kLargestHalf = 65504;
  for (const double v : t.read()) {
    TT_CHECK(g.compute() != OnnxType::f16 || std::abs(v) <= kLargestHalf, DataError, t.info.name, ": ", v,
             " does not fit f16: export f32");
    values.push_back(float(v));
  }
  g.constant(dims, values, t.info.name);
}

}  // namespace

void put_into_onnx(const Graph& graph, Stream& stream, const StateDict& weights, const std::vector<OnnxEdge>& inputs,
                   const std::vector<OnnxEdge>& outputs, OnnxGraph& to) {
  std::vector<Shape> shapes(size_t(graph.value_count()));
  std::vector<std::string> names(shapes.size());
  for (const Graph::Input& in : graph.inputs()) shapes[size_t(in.value.id)] = in.shape;
  const auto is_bytes = [&](Value v) {
    for (const Graph::Input& in : graph.inputs())
      if (in.value.id == v.id) return in.dtype == DType::u8;
    return false;
  };
  for (const OnnxEdge& in : inputs)
    names[size_t(in.value.id)] =
        is_bytes(in.value) ? in.name : to.add("Transpose", {in.name}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}});
  for (const Graph::Node& node : graph.nodes()) {
    OnnxNode n;
    std::vector<Shape> x;
    std::vector<std::string> x_names;
    for (const Value v : node.x) {
      x.push_back(shapes[size_t(v.id)]);
      x_names.push_back(names[size_t(v.id)]);
    }
    const PlanContext context{stream, DType::f32, true, false, false};  // as if in training: nothing is packed
    const Spec spec = node.layer->plan(context, x);
    for (const ParamSpec& p : spec.params) {
      n.w.push_back(p.is_counter ? std::vector<std::string>{} : p.names);
      for (const std::string& name : n.w.back()) add_weight(to, p, require(weights, name));
    }
    n.x = x_names;
    n.y = node.layer->name;
    n.x_shape = x;
    n.y_shape = shapes[size_t(node.y.id)] = spec.y;
    names[size_t(node.y.id)] = n.y;
    node.layer->to_onnx(to, n);
  }
  for (const OnnxEdge& out : outputs) {
    const Shape& s = shapes[size_t(out.value.id)];
    const std::string& y = names[size_t(out.value.id)];
    if (s.h == 1 && s.w == 1) {
      to.add("Flatten", {y}, {{"axis", int64_t(1)}}, out.name);
      to.output(out.name, to.compute(), {"N", int64_t(s.c)});
    } else {
      to.add("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}}, out.name);
      to.output(out.name, to.compute(), edge_dims(s, to, cat(out.name, "_H"), cat(out.name, "_W")));
    }
  }
  for (const OnnxEdge& in : inputs) {
    const Shape& s = shapes[size_t(in.value.id)];
    to.input(in.name, is_bytes(in.value) ? OnnxType::u8 : to.compute(), edge_dims(s, to, "H", "W"));
  }
}

bool is_our_onnx(std::span<const unsigned char> content) {
  const std::string empty = OnnxGraph(false).model("", {});
  const size_t said = empty.find("Telltale") + std::string_view("Telltale").size();  // format and producer come first
  return content.size() >= said && std::equal(empty.begin(), empty.begin() + int64_t(said), content.begin(),
                                              [](char a, unsigned char b) { return uint8_t(a) == b; });
}

std::string onnx_model(const WeightsFile& file, Stream& stream, const OnnxSettings& settings) {
  Exported e = exported(file, settings);
  Program program(e.graph, stream, {});  // which says what is missing or broken in the file
  try {
    load_params(stream, program.params(), e.weights);
  } catch (const DataError& error) {
    throw DataError(cat(file.path(), ": ", error.what()));
  }
  OnnxGraph g(settings.half);
  if (e.one_size) g.needs_fixed_size();
  put_into_onnx(e.graph, stream, params_dict(stream, program.params()), e.inputs, e.outputs, g);
  for (const auto& [key, value] : file.metadata()) e.metadata.try_emplace(key, value);
  return g.model("telltale", e.metadata);
}

}  // namespace telltale
