#include "engine/graph.h"

#include <algorithm>

namespace telltale {

Graph::Graph(const Graph& o) : inputs_(o.inputs_), outputs_(o.outputs_), values_(o.values_) {
  for (const Node& n : o.nodes_) nodes_.push_back({n.layer->clone(), n.x, n.y, n.frozen});
}

Graph& Graph::operator=(const Graph& o) {
  Graph copy(o);
  return *this = std::move(copy);
}

Value Graph::input(Shape shape, std::optional<DType> dtype) {
  inputs_.push_back({{values_}, shape, dtype});
  return {values_++};
}

Value Graph::add(std::string name, std::unique_ptr<Layer> layer, std::initializer_list<Value> x) {
  for (Value v : x) TT_CHECK(v.id >= 0 && v.id < values_, ShapeError, name, ": takes a value that is not in the graph");
  layer->name = std::move(name);
  nodes_.push_back({std::move(layer), x, {values_}, false});
  return {values_++};
}

int Graph::freeze(const std::string& prefix, bool frozen) {
  int matched = 0;
  for (Node& n : nodes_) {
    if (prefix.empty() || n.layer->name == prefix || n.layer->name.starts_with(prefix + ".")) {
      n.frozen = frozen;
      ++matched;
    }
  }
  return matched;
}

int Graph::freeze_up_to(Value v) {
  std::vector<bool> needed(size_t(values_), false);
  needed[size_t(v.id)] = true;
  int frozen = 0;
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {  // a layer stands behind all that it takes
    if (!needed[size_t(node->y.id)]) continue;
    node->frozen = true;
    ++frozen;
    for (Value x : node->x) needed[size_t(x.id)] = true;
  }
  return frozen;
}

void Layer::backward(Stream&, const Io&) const {
  throw ShapeError(name + " (" + describe() + ") has no backward: it can't stand between the loss and what trains");
}

std::unique_ptr<Layer> Layer::absorb(const Layer&, int, bool) const { return nullptr; }

}  // namespace telltale
