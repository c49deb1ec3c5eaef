#pragma once
// cuDNN's plans of a net's layers for the H200 that bench/h200_deviceprop.json describes, without one.
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/layers/all.h"
#include "kernels/conv/cudnn/plan.h"

namespace telltale::cudnn {

inline std::string slurp(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Why plans can't be checked here; empty when they can.
inline std::string missing() {
  try {
    return library().version() < 90800 ? "cuDNN is older than 9.8, which first takes described devices" : "";
  } catch (const DeviceError& e) {
    return e.what();
  }
}

inline const Target& h200() {
  static const Target target(slurp(TT_SOURCE_DIR "/bench/h200_deviceprop.json"));
  return target;
}

/// A graph's layers with the shapes they get.
template <class F>
void for_each_layer(const Graph& graph, DType compute, bool training, const F& f) {
  Stream stream = Stream::emulated();  // plans as a device does: nothing packed
  std::vector<Shape> shapes(size_t(graph.value_count()));
  for (const Graph::Input& in : graph.inputs()) shapes[size_t(in.value.id)] = in.shape;
  for (const Graph::Node& node : graph.nodes()) {
    std::vector<Shape> x;
    for (Value v : node.x) x.push_back(shapes[size_t(v.id)]);
    const Spec spec = node.layer->plan({stream, compute, training, node.frozen, training}, x);
    shapes[size_t(node.y.id)] = spec.y;
    f(*node.layer, x, spec);
  }
}

}  // namespace telltale::cudnn
