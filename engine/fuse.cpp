// Fusion as a graph pass: a node that alone feeds another is offered the other to absorb, until nobody absorbs
// anything.
#include <algorithm>

#include "engine/graph.h"
#include "engine/layers/chain.h"
#include "engine/layers/stem.h"

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

class Fusion {
 public:
  Fusion(const Graph& g, std::vector<Graph::Node>& nodes, bool training)
      : nodes_(nodes), uses_(uses_of(g)), trains_(may_train(g)), training_(training) {}

  bool fuse_one() {
    for (size_t a = 0; a < nodes_.size(); ++a) {
      const Use use = only_use(nodes_[a]);
      std::unique_ptr<Layer> fused = absorbed(nodes_[a]);
      // What follows goes first where it can: a relu with the pool behind it, not with the convolution before it.
      if (!fused || absorbed(nodes_[size_t(use.node)])) continue;
      merge(a, use, std::move(fused));
      return true;
    }
    return false;
  }

  bool chain_one() {
    for (size_t a = 0; a < nodes_.size(); ++a) {
      const Use use = only_use(nodes_[a]);
      if (use.node < 0 || nodes_[a].frozen || nodes_[size_t(use.node)].frozen) continue;
      std::unique_ptr<Layer> chain = ConvChain::joined(*nodes_[a].layer, *nodes_[size_t(use.node)].layer, use.position);
      if (!chain) continue;
      merge(a, use, std::move(chain));
      return true;
    }
    return false;
  }

  bool stem_one() {
    for (size_t a = 0; a < nodes_.size(); ++a) {
      const Use use = only_use(nodes_[a]);
      if (use.node < 0) continue;
      std::unique_ptr<Layer> stem = Stem::joined(*nodes_[a].layer, *nodes_[size_t(use.node)].layer);
      if (!stem) continue;
      nodes_[a].frozen = nodes_[size_t(use.node)].frozen;  // bytes have nothing to freeze
      merge(a, use, std::move(stem));
      return true;
    }
    return false;
  }

 private:
  /// Where a node's value is used if that is one place only.
  Use only_use(const Graph::Node& n) const {
    const Use& use = uses_[size_t(n.y.id)];
    return use.count == 1 ? use : Use{};
  }
  /// What a node and the only one it feeds would be as one layer; null where nobody absorbs.
  std::unique_ptr<Layer> absorbed(const Graph::Node& n) const {
    const Use use = only_use(n);
    if (use.node < 0) return nullptr;
    const Graph::Node& next = nodes_[size_t(use.node)];
    const bool constant = !training_ || !trains_[size_t(next.y.id)];
    return n.layer->absorb(*next.layer, use.position, constant);
  }
  void merge(size_t a, const Use& use, std::unique_ptr<Layer> fused) {
    Graph::Node& next = nodes_[size_t(use.node)];
    std::vector<Value> x = nodes_[a].x;
    for (size_t k = 0; k < next.x.size(); ++k) {
      if (int(k) != use.position) x.push_back(next.x[k]);
    }
    next.layer = std::move(fused);
    next.x = std::move(x);
    next.frozen = nodes_[a].frozen;
    nodes_.erase(nodes_.begin() + std::ptrdiff_t(a));
  }

  std::vector<Graph::Node>& nodes_;
  const std::vector<Use> uses_;
  const std::vector<bool> trains_;
  const bool training_;
};

}  // namespace

Graph Graph::fused(bool training, bool chains, bool stems) const {
  Graph g(*this);
  while (Fusion(g, g.nodes_, training).fuse_one()) {
  }
  while (stems && Fusion(g, g.nodes_, training).stem_one()) {
  }
  while (training && chains && Fusion(g, g.nodes_, training).chain_one()) {
  }
  return g;
}

}  // namespace telltale
