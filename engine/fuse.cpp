// Fusion as a graph pass: rules join a node and the only one that it feeds, in turn, until none joins anything.
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

using Joined = std::unique_ptr<Layer>;

/// How a node and the only one it feeds become one. `constant`: nothing that trains lies upstream of `next`'s value.
struct Rule {
  /// Null where they stay two.
  Joined (*join)(const Graph::Node& a, const Graph::Node& next, int position, bool constant);
  /// Whether `next` joins what follows it rather than `a`, where it can: a relu goes with the pool behind it, not with
  /// the convolution before it.
  bool later_first = false;
  /// Whether the joined node is frozen as `next` was, and not as `a`: where `a` has nothing to freeze.
  bool frozen_as_next = false;
};

constexpr Rule kAbsorb = {.join = [](const Graph::Node& a, const Graph::Node& next, int position,
                                     bool constant) { return a.layer->absorb(*next.layer, position, constant); },
                          .later_first = true};
constexpr Rule kStem = {.join = [](const Graph::Node& a, const Graph::Node& next, int, bool) -> Joined {
                          return Stem::joined(*a.layer, *next.layer);
                        },
                        .frozen_as_next = true};
constexpr Rule kChain = {.join = [](const Graph::Node& a, const Graph::Node& next, int position, bool) -> Joined {
  return a.frozen || next.frozen ? nullptr : ConvChain::joined(*a.layer, *next.layer, position);
}};

/// Joins the first two nodes that a rule joins.
class Fusion {
 public:
  Fusion(const Graph& g, std::vector<Graph::Node>& nodes, bool training)
      : nodes_(nodes), uses_(uses_of(g)), trains_(may_train(g)), training_(training) {}

  bool apply(const Rule& rule) {
    for (size_t a = 0; a < nodes_.size(); ++a) {
      Joined joined = join(rule, nodes_[a]);
      const Use use = only_use(nodes_[a]);
      if (!joined || (rule.later_first && join(rule, nodes_[size_t(use.node)]))) continue;
      merge(a, use, std::move(joined), rule.frozen_as_next);
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
  Joined join(const Rule& rule, const Graph::Node& n) const {
    const Use use = only_use(n);
    if (use.node < 0) return nullptr;
    const Graph::Node& next = nodes_[size_t(use.node)];
    return rule.join(n, next, use.position, !training_ || !trains_[size_t(next.y.id)]);
  }
  void merge(size_t a, const Use& use, Joined joined, bool frozen_as_next) {
    Graph::Node& next = nodes_[size_t(use.node)];
    std::vector<Value> x = nodes_[a].x;
    for (size_t k = 0; k < next.x.size(); ++k) {
      if (int(k) != use.position) x.push_back(next.x[k]);
    }
    next.layer = std::move(joined);
    next.x = std::move(x);
    if (!frozen_as_next) next.frozen = nodes_[a].frozen;
    nodes_.erase(nodes_.begin() + std::ptrdiff_t(a));
  }

  std::vector<Graph::Node>& nodes_;
  const std::vector<Use> uses_;
  const std::vector<bool> trains_;
  const bool training_;
};

}  // namespace

Graph Graph::fused(const Fused& how) const {
  std::vector<Rule> rules = {kAbsorb};
  if (how.stems) rules.push_back(kStem);
  if (how.training && how.chains) rules.push_back(kChain);
  Graph g(*this);
  for (const Rule& rule : rules) {
    while (Fusion(g, g.nodes_, how.training).apply(rule)) {
    }
  }
  return g;
}

}  // namespace telltale
