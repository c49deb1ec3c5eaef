#pragma once
// A net: layers in the order they run, and the values between them.
#include <initializer_list>
#include <optional>

#include "engine/layer.h"

namespace telltale {

/// A tensor to come. Used twice = a skip connection.
struct Value {
  int id = -1;
};

/// Layers and their wiring, without shapes of anything but the inputs. Copyable.
class Graph {
 public:
  struct Node {
    std::unique_ptr<Layer> layer;
    std::vector<Value> x;
    Value y;
    bool frozen = false;
  };
  struct Input {
    Value value;
    Shape shape;
    std::optional<DType> dtype;  ///< none: the program's compute type
  };

  Graph() = default;
  Graph(const Graph&);
  Graph& operator=(const Graph&);
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  Value input(Shape, std::optional<DType> = std::nullopt);
  Value add(std::string name, std::unique_ptr<Layer>, std::initializer_list<Value> x);
  template <class L, class... A>
  Value add(std::string name, std::initializer_list<Value> x, A&&... a) {
    return add(std::move(name), std::make_unique<L>(std::forward<A>(a)...), x);
  }
  /// Keeps a value readable after forward. Values without consumers are outputs anyway.
  void output(Value v) { outputs_.push_back(v); }
  /// Freezes (or thaws) every layer whose name is `prefix` or starts with `prefix` + "."; "" means all. Frozen layers
  /// take no gradient, and frozen batch norms use their running statistics. Returns how many layers matched.
  int freeze(const std::string& prefix, bool frozen = true);
  /// Freezes every layer that `v` depends on. Returns how many those are.
  int freeze_up_to(Value v);
  /// What fusion may do.
  struct Fused {
    bool training = false;  ///< false: everything is constant, so that batch norms fold into convolutions
    bool chains = false;    ///< where training: convolutions with the batch norms around them as one ConvChain
    bool stems = false;     ///< preprocessing and the convolution behind it as one Stem
  };
  /// The same net with conv+bias+act, bn+add+relu, and (where constant) conv+bn+add+relu each as one layer. Parameter
  /// names stay. Options::fuse turns it off for a program.
  Graph fused(const Fused&) const;

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Input>& inputs() const { return inputs_; }
  const std::vector<Value>& outputs() const { return outputs_; }
  int value_count() const { return values_; }

 private:
  std::vector<Node> nodes_;
  std::vector<Input> inputs_;
  std::vector<Value> outputs_;
  int values_ = 0;
};

}  // namespace telltale
