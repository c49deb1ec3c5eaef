#pragma once
// What one call of `train --task inpaint` was told.
#include <string>
#include <vector>

#include "data/mask.h"
#include "models/training/hyperparameters.h"
#include "models/training/settings.h"

namespace telltale {

/// Everything that decides what a generator learns, but for photographs, initial weights and seed. Defaults are
/// DeepFillv2's (Yu et al. 2019), where it says.
struct InpaintRecipe {
  std::string description;
  std::string family = "csqiangwen";  ///< of the generator: one of generator_nets()
  int width = 48;                     ///< of the generator; 48 as published
  int adversary_width = 64;           ///< of the discriminator's
  int adversary_layers = 6;           ///< of the discriminator; fewer judge smaller patches
  double adversary_grain = 0;         ///< of the discriminator; above 0 it sees high frequencies so often enlarged
  std::string trained = "both";       ///< "refined": the coarse stage stays as it began
  int size = 256;                     ///< it trains on size × size pixels
  int batch = 16;
  int micro_batch = 0;                 ///< images a pass; 0: the batch, or a rank's share of it
  int steps = 100000;                  ///< optimiser steps of the generator
  double epochs = 0;                   ///< above 0: passes over the training photographs instead of steps
  double lr = 1e-4, adversary_lr = 0;  ///< of Adam, β .5 and .999; adversary_lr 0: the generator's
  std::string schedule = "constant";
  std::string mask_law = "mixed";
  double mask_area_min = 0.02, mask_area_max = 0.6;
  double min_crop = 0.5;  ///< the shortest side of a training crop, as a share of the photograph's shorter side
  double max_crop = 1;    ///< the longest likewise; size over the photographs' side and less: no crop is resampled
  std::string augment = "flip";
  /// Absolute errors count as shares of the way from black to white, whatever range the family's images have.
  double l1_weight = 1, hole_weight = 0, adversarial_weight = 1, perceptual_weight = 0;
  double texture_weight = 0;
  std::string perceptual_net;  ///< a file with VGG11's weights
  int warmup_l1_steps = 0;
  double ema_decay = 0.999;
  /// How far below the phase's highest PSNR a generator may be and still count as sound, when a discriminator or the
  /// texture loss trains it: the eye prefers texture to the blur that maximises PSNR, so the newest sound one is kept.
  double keep_within_db = 1;
  int report_steps = 1000;
  int validation_photos = 64;
  std::string precision = "f32";
  int limit = 0;
};
/// Where each field lies, its name and its range.
std::vector<Hyperparameter> hyperparameters(InpaintRecipe&);
/// What must hold between fields. Throws UsageError.
void check_recipe(const InpaintRecipe&);
/// Every field, in the table's order.
nlohmann::ordered_json to_json(const InpaintRecipe&);

struct InpaintSettings : RunSettings {
  InpaintRecipe recipe;
  std::string photos;
};

}  // namespace telltale
