#pragma once
// A generator and its discriminator in training: DeepFillv2's step (Yu et al. 2019).
#include <memory>
#include <optional>
#include <vector>

#include "engine/program.h"
#include "models/inpainter/perceptual_loss.h"
#include "models/inpainter/photos.h"
#include "models/inpainter/recipe.h"
#include "models/inpainter/texture_loss.h"
#include "models/training/ranks.h"
#include "nets/nets.h"

namespace telltale {

/// What a step minimised: unweighted means over the batch.
struct InpaintLosses {
  double coarse_l1 = 0, refined_l1 = 0;   ///< over all pixels, as shares of the way from black to white
  double hole_l1 = 0;                     ///< of the composed image over all pixels: the hole's share of refined_l1
  double real_hinge = 0, fake_hinge = 0;  ///< of the discriminator; both 1 when it knows nothing, 0 when it is sure
  double judgement = 0;                   ///< −mean score of what was painted: what the generator minimises
  double perceptual = 0;                  ///< mean absolute difference of VGG11's activations
  double texture = 0;                     ///< difference of local statistics, over all pixels
  double discriminator() const { return real_hinge + fake_hinge; }
};

/// The nets of a run on one device. A step is: generator forward; discriminator step on real and painted images;
/// generator step through the discriminator, whose parameters then are constants. The painted images the discriminator
/// learns from are those the generator is then judged by. A batch is run in passes of recipe.micro_batch images, pass p
/// by rank p % ranks'; each net makes one step for all of them.
class InpaintModel {
 public:
  /// The recipe's micro_batch is not 0, and there are passes for all ranks.
  InpaintModel(Stream&, const InpaintRecipe&, uint64_t seed, Ranks&, const GradientExchange&);

  /// One step of both. `adversarial` false leaves the discriminator out and trains on absolute errors alone.
  /// `adversary_step` counts the discriminator's own steps from 1. Waits until the losses are on the host.
  InpaintLosses step(const PaintBatch&, int64_t step, int64_t adversary_step, double lr_share, bool adversarial);

  Program& generator() { return *generator_; }
  /// Null when the recipe gives it no weight.
  Program* discriminator() { return discriminator_.get(); }
  /// Bytes on the device.
  size_t bytes() const;

 private:
  enum Sum { kCoarse, kRefined, kHole, kReal, kFake, kJudgement, kPerceptual, kTexture, kSums };
  void build_generator(uint64_t seed);
  void scale_filters();
  void build_discriminator(uint64_t seed);
  /// Of a batch, to where the generator reads them; and runs it.
  void paint(const PaintBatch&, int pass);
  /// One pass.
  void judge_generator(bool adversarial, bool accumulate);
  /// Runs every pass of this rank, and sums their gradients over passes and ranks.
  void passes(RankedPasses&, const std::function<void(int pass, bool accumulate)>&);
  void train_discriminator(const PaintBatch&, int64_t step, double lr_share);
  /// What a pass left in sums_ is added to `of_passes_`.
  void keep_sums(int pass);
  /// Added up in the passes' order, whichever rank ran them.
  std::vector<double> sums_of_all() const;
  /// Evaluates a registered loss of single numbers between two tensors, its gradient into `gradient`, its sum into a
  /// place of sums_.
  void loss(const Loss&, Tensor pred, Tensor target, Tensor gradient, Sum sum, const StepState* state);

  Tensor sum_of(Sum) const;

  Stream* stream_;
  InpaintRecipe recipe_;
  Ranks* ranks_;
  std::vector<std::vector<double>> of_passes_;  ///< sums of this step's passes
  Value image_, mask_, judged_, complete_;
  Inpainted net_;
  Value trained_input_, trained_scores_, judge_input_, judge_scores_;
  std::unique_ptr<Program> generator_, discriminator_;
  std::optional<RankedPasses> generator_rounds_, discriminator_rounds_;
  std::unique_ptr<Program> judge_;              ///< the discriminator frozen, with gradients of its input
  std::unique_ptr<PerceptualLoss> perceptual_;  ///< null when the recipe gives it no weight
  std::unique_ptr<TextureLoss> texture_;        ///< likewise
  std::unique_ptr<Loss> l1_, hole_l1_, hinge_, critic_;
  OwnedTensor target_;  ///< the images in accumulator type
  OwnedTensor signs_;   ///< +1 for each patch of a real image, then −1 for each of a painted one
  OwnedTensor ones_;
  OwnedTensor unused_;  ///< the gradient by the coarse image when nothing before it trains
  OwnedTensor losses_, sums_, state_;
};

}  // namespace telltale
