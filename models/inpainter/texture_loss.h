#pragma once
// How far two images' textures lie apart, wherever in it each grain lies.
#include <memory>

#include "models/inpainter/feature_difference.h"

namespace telltale {

/// The difference of local statistics of a pyramid's bands, and of the pyramid's residue. Each of kScales scales, every
/// one half as large as the one before, passes through kFilters constant 5×5 filters: a 3×3 one drawn at random, behind
/// a Laplacian, so that smooth shading gives no response. The positive and the negative parts of the responses are
/// averaged over windows of 8×8 places, 4 apart, and the averages compared by absolute difference; so are the pixels of
/// the image shrunk by 2^kScales. Such averages say how strong a texture is, at which scale and in which direction, and
/// not where its grains lie: a fill of the right grain costs little and a blurred one much, whereas the pixels' own
/// absolute error prefers the blur. Heeger & Bergen 1995 match histograms of such responses; these are their first
/// moments, locally.
///
/// Beside them stand pairs: from the second scale on, how strong the sum and the difference are of a filter's responses
/// in two places kLattice pixels of the image apart, sideways or down; on the third scale twice as far, where the image
/// has room for it. What comes again at that distance has strong sums and weak differences. Photographs rarely do; a
/// generator whose inner grid lies as far apart is prone to, and no average of single responses tells. Portilla &
/// Simoncelli 2000 match such correlations.
class TextureLoss {
 public:
  static constexpr int kScales = 3, kFilters = 16;
  static constexpr int kLattice = 8;  ///< the pitch of DeepFillv2's contextual attention, in pixels
  /// Images have shape {N,H,W,3}, H and W multiples of 8 and at least kSmallest, black at `black` and white at 1, and
  /// `compute` type. The stream must outlive it.
  static constexpr int kSmallest = 48;
  TextureLoss(Stream&, const Shape& image, float black, DType compute, double weight);

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
