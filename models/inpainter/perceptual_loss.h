#pragma once
// What two images differ by in the eyes of a net that recognises things.
#include <memory>
#include <string>

#include "models/inpainter/feature_difference.h"

namespace telltale {

/// The mean absolute difference of VGG11's activations before its first four poolings, each layer's mean counting alike
/// (Johnson et al. 2016; the absolute form of Liu et al. 2018, "Image inpainting for irregular holes").
class PerceptualLoss {
 public:
  /// `weights`: a file with torchvision's VGG11, of ImageNet or a detector of ours, any width; DataError naming it when
  /// it is another net's. Images have shape {N,H,W,3}, H and W at least 16, black at `black` and white at 1, and
  /// `compute` type. The stream must outlive it.
  PerceptualLoss(Stream&, const std::string& weights, const Shape& image, float black, DType compute, double weight);

  /// Assigns weight · difference to `sum` ({1,1,1,1}, accumulator type) and adds its gradient by `painted` to
  /// `gradient` (compute type, times the state's loss scale). Enqueues only.
  void eval(Tensor painted, Tensor original, Tensor gradient, Tensor sum, const StepState* state) {
    difference_->eval(painted, original, gradient, sum, state);
  }
  size_t bytes() const { return difference_->bytes(); }

 private:
  std::unique_ptr<FeatureDifference> difference_;
};

}  // namespace telltale
