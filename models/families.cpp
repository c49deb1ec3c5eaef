#include "models/families.h"

#include <algorithm>

#include "engine/params.h"
#include "models/detector/detector.h"
#include "nets/nets.h"
#include "weights/names.h"

namespace telltale {
namespace {

/// Widths beyond this are a broken file's: its tensors are then compared with the published net's.
constexpr int64_t kWidest = 4096;

std::vector<TensorInfo> tensors_of(const Graph& graph) {
  Stream stream = Stream::cpu(1);
  std::vector<TensorInfo> tensors;
  for (const ParamSpec& spec : parameter_specs(graph, stream))
    for (const std::string& name : spec.names) tensors.push_back({name, FileDType::f32, state_dict_shape(spec)});
  return tensors;
}

NetFamily family_of(const DetectorNet& net) {
  const auto tensors = [&net](int64_t first, int64_t head) {
    constexpr int kPublished = 64;  // outputs of every detector's first filter
    Graph graph;
    net.build(graph, graph.input({1, 64, 64, 3}),
              {.outputs = head >= 1 && head <= 1'000'000 ? int(head) : 1000,
               .width = first >= 8 && first <= kWidest && first % 8 == 0 ? double(first) / kPublished : 1,
               .dropout = 0});
    return tensors_of(graph);
  };
  return {net.name, net.first, net.head, tensors};
}

NetFamily family_of(const GeneratorNet& net) {
  const auto tensors = [&net](int64_t first, int64_t) {
    constexpr int kPublished = 48;
    Graph graph;
    const Value image = graph.input({1, 32, 32, 3}), mask = graph.input({1, 32, 32, 1});
    const bool possible = first >= net.width_step && first <= kWidest && first % net.width_step == 0;
    net.build(graph, image, mask, possible ? int(first) : kPublished);
    return tensors_of(graph);
  };
  return {net.name, net.first, "", tensors};
}

}  // namespace

const std::vector<NetFamily>& net_families() {
  static const std::vector<NetFamily> families = [] {
    std::vector<NetFamily> all;
    for (const DetectorNet& net : detector_nets()) all.push_back(family_of(net));
    for (const GeneratorNet& net : generator_nets()) all.push_back(family_of(net));
    return all;
  }();
  return families;
}

std::vector<NetFamily> families_for(const std::map<std::string, std::string>& metadata) {
  if (!metadata.contains("net")) return net_families();
  refuse_checkpoint(metadata);
  const DetectorInfo info = detector_info("its metadata", metadata);
  const DetectorNet& net = detector_net(info.net);
  const auto tensors = [info, &net](int64_t, int64_t) {
    Graph graph;
    net.build(graph, graph.input({1, 64, 64, 3}), {.outputs = info.outputs, .width = info.width, .dropout = 0});
    return tensors_of(graph);
  };
  return {{net.name, net.first, net.head, tensors}};
}

NetIdentity identify_generator(const StateDict& dict, const std::string& path) {
  NetIdentity found;
  try {
    found = identify(dict, net_families());
  } catch (const DataError& e) {
    throw DataError(cat(path, ": ", e.what()));
  }
  const auto& nets = generator_nets();
  TT_CHECK(std::any_of(nets.begin(), nets.end(), [&](const GeneratorNet& n) { return n.name == found.family; }),
           DataError, path, ": holds a ", found.family, ", which paints nothing: a DeepFillv2 generator is needed");
  return found;
}

}  // namespace telltale
