#pragma once
// How far two images lie apart in what a constant net makes of them.
#include <memory>
#include <vector>

#include "engine/loss.h"
#include "engine/program.h"

namespace telltale {

/// A sum of mean absolute differences between a constant net's features of two images, with its gradient.
class FeatureDifference {
 public:
  struct Feature {
    Value value;
    double weight;  ///< of the mean absolute difference over this feature's numbers
  };
  /// `net` takes `input`, a batch of images of `compute` type, and has every feature as an output. Its parameters are
  /// seeded: write what they are to net(). The stream must outlive this.
  FeatureDifference(Stream&, Graph net, Value input, std::vector<Feature>, DType compute);

  /// Assigns the weighted sum to `sum` ({1,1,1,1}, accumulator type) and adds its gradient by `painted` to `gradient`
  /// (compute type, times the state's loss scale). Enqueues only.
  void eval(Tensor painted, Tensor original, Tensor gradient, Tensor sum, const StepState*);
  Program& net() { return *net_; }
  size_t bytes() const;

 private:
  Stream* stream_;
  Value input_;
  std::vector<Feature> features_;
  std::unique_ptr<Program> net_;               ///< constant, with gradients of its input
  std::vector<OwnedTensor> wanted_;            ///< the original's features, in accumulator type
  std::vector<std::unique_ptr<Loss>> losses_;  ///< one a feature
  OwnedTensor each_;
};

}  // namespace telltale
