// Fusion as a graph pass: a node that alone feeds another is offered the other to absorb, until nobody absorbs
// anything.
#include <algorithm>

#include "engine/graph.h"

namespace telltale {
namespace {

struct Use {
  int node = -1, position = -1, count = 0;
};

std::vector<Use> uses_of(const Graph& g) {
  std::vector<Use> uses(size_t(g.value_count()));
  for (size_t n = 0; n < g.nodes().size(); ++n) {
    for (size_t k = 0; k < g.nodes()[n].x.size(); ++k) {
      Use& u = uses[size_t(g.nodes()[n].x[k].id)];
      u = {int(n), int(k), u.count + 1};
    }
  }
  for (Value v : g.outputs()) uses[size_t(v.id)].count += 2;  // an output must stay readable
  return uses;
}

/// True for values on which something that trains may lie upstream. Unfrozen layers without parameters count: that only
/// costs a fusion.
std::vector<bool> may_train(const Graph& g) {
  std::vector<bool> trains(size_t(g.value_count()), false);
  for (const Graph::Node& n : g.nodes()) {
    bool any = !n.frozen;
    for (Value v : n.x) any = any || trains[size_t(v.id)];
    trains[size_t(n.y.id)] = any;
  }
  return trains;
}

bool fuse_one(Graph& g, std::vector<Graph::Node>& nodes, bool training) {
  const std::vector<Use> uses = uses_of(g);
  const std::vector<bool> trains = may_train(g);
  for (size_t a = 0; a < nodes.size(); ++a) {
    const Use& use = uses[size_t(nodes[a].y.id)];
    if (use.count != 1) continue;
    Graph::Node& next = nodes[size_t(use.node)];
    const bool constant = !training || !trains[size_t(next.y.id)];
    std::unique_ptr<Layer> fused = nodes[a].layer->absorb(*next.layer, use.position, constant);
    if (!fused) continue;
    std::vector<Value> x = nodes[a].x;
    for (size_t k = 0; k < next.x.size(); ++k) {
      if (int(k) != use.position) x.push_back(next.x[k]);
    }
    next.layer = std::move(fused);
    next.x = std::move(x);
    next.frozen = nodes[a].frozen;
    nodes.erase(nodes.begin() + std::ptrdiff_t(a));
    return true;
  }
  return false;
}

}  // namespace

Graph Graph::fused(bool training) const {
  Graph g(*this);
  while (fuse_one(g, g.nodes_, training)) {
  }
  return g;
}

}  // namespace telltale
