#include "models/inpainter/recipe.h"

#include "models/inpainter/texture_loss.h"
#include "nets/nets.h"

namespace telltale {
namespace {

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const GeneratorNet& net : generator_nets()) names.push_back(net.name);
  return names;
}

}  // namespace

std::vector<Hyperparameter> hyperparameters(InpaintRecipe& r) {
  constexpr double kMany = 1e9;
  return {
      {.name = "description", .help = "what the recipe is for", .value = &r.description},
      {.name = "family", .help = "of the generator", .value = &r.family, .choices = family_names()},
      {.name = "width",
       .help = "of the generator, 48 as published: even, for the official ones a multiple of 4",
       .value = &r.width,
       .low = 2,
       .high = 512},
      {.name = "adversary_width",
       .help = "channels of the discriminator's first convolution",
       .value = &r.adversary_width,
       .low = 1,
       .high = 512},
      {.name = "adversary_layers",
       .help = "convolutions of the discriminator, 6 as published; fewer judge smaller patches",
       .value = &r.adversary_layers,
       .low = 1,
       .high = PatchGanSettings::kLayers},
      {.name = "adversary_grain",
       .help = "shows the discriminator high frequencies besides, so many times enlarged; 0: the image alone",
       .value = &r.adversary_grain,
       .low = 0,
       .high = 1000},
      {.name = "trained",
       .help = "stages of the generator that learn: both, or the refined alone, the coarse one staying as it began",
       .value = &r.trained,
       .choices = {"both", "refined"}},
      {.name = "size",
       .help = "trains on size x size pixels, a multiple of 8",
       .value = &r.size,
       .low = 16,
       .high = 2048},
      {.name = "batch", .help = "images per step", .value = &r.batch, .low = 1, .high = 1024},
      {.name = "micro_batch",
       .help = "images per pass through the nets, must divide the batch; 0: all of it, or a process's share",
       .value = &r.micro_batch,
       .low = 0,
       .high = 1024},
      {.name = "steps", .help = "optimiser steps in all", .value = &r.steps, .low = 1, .high = kMany},
      {.name = "epochs",
       .help = "passes over the training photographs, instead of --steps",
       .value = &r.epochs,
       .low = 0,
       .high = 1e6},
      {.name = "lr", .help = "Adam's learning rate", .value = &r.lr, .low = 0, .high = 1},
      {.name = "adversary_lr",
       .help = "the discriminator's learning rate; 0: the generator's",
       .value = &r.adversary_lr,
       .low = 0,
       .high = 1},
      {.name = "schedule", .help = "of the learning rates", .value = &r.schedule, .choices = {"constant", "cosine"}},
      {.name = "mask_law", .help = "how holes are drawn", .value = &r.mask_law, .choices = mask_law_names()},
      {.name = "mask_area_min", .help = "least share of the image", .value = &r.mask_area_min, .low = 0, .high = 1},
      {.name = "mask_area_max", .help = "largest share of the image", .value = &r.mask_area_max, .low = 0, .high = 1},
      {.name = "min_crop",
       .help = "shortest side of a crop, as a share of the photograph's shorter side",
       .value = &r.min_crop,
       .low = 0.01,
       .high = 1},
      {.name = "max_crop",
       .help = "longest side likewise; no crop is ever shorter than size where the photograph is not",
       .value = &r.max_crop,
       .low = 0.01,
       .high = 1},
      {.name = "augment", .help = "of training crops", .value = &r.augment, .choices = {"flip", "none"}},
      {.name = "l1_weight",
       .help = "of the mean absolute errors of coarse and refined image",
       .value = &r.l1_weight,
       .low = 0,
       .high = kMany},
      {.name = "hole_weight",
       .help = "of the refined image's absolute error in the hole alone, besides",
       .value = &r.hole_weight,
       .low = 0,
       .high = kMany},
      {.name = "adversarial_weight",
       .help = "of the discriminator's judgement; 0: no discriminator",
       .value = &r.adversarial_weight,
       .low = 0,
       .high = kMany},
      {.name = "perceptual_weight",
       .help = "of the difference of VGG11's activations over original and completed image; 0: none",
       .value = &r.perceptual_weight,
       .low = 0,
       .high = kMany},
      {.name = "perceptual_net", .help = "file with VGG11's weights, torchvision's", .value = &r.perceptual_net},
      {.name = "texture_weight",
       .help = "of the difference of local statistics of texture in the completed image; 0: none",
       .value = &r.texture_weight,
       .low = 0,
       .high = kMany},
      {.name = "warmup_l1_steps",
       .help = "first steps without the discriminator",
       .value = &r.warmup_l1_steps,
       .low = 0,
       .high = kMany},
      {.name = "ema_decay",
       .help = "of the moving average of the generator, which is what is validated and kept",
       .value = &r.ema_decay,
       .low = 0,
       .high = 0.99999},
      {.name = "keep_within_db",
       .help = "with discriminator or texture loss: decibels below the best PSNR at which a generator is still kept",
       .value = &r.keep_within_db,
       .low = 0,
       .high = 100},
      {.name = "report_steps",
       .help = "validate and paint a sample sheet every so many steps",
       .value = &r.report_steps,
       .low = 1,
       .high = kMany},
      {.name = "validation_photos",
       .help = "held out of training: so many, or a twentieth if that is fewer",
       .value = &r.validation_photos,
       .low = 1,
       .high = 100000},
      {.name = "precision",
       .help = "of activations; tf32 on CUDA only",
       .value = &r.precision,
       .choices = {"f32", "tf32", "bf16"}},
      {.name = "limit", .help = "train on that many photographs only; 0: all", .value = &r.limit, .high = kMany},
  };
}

void check_recipe(const InpaintRecipe& r) {
  const GeneratorNet& net = generator_net(r.family);
  TT_CHECK(r.width % net.width_step == 0, UsageError, "width is ", r.width, ", ", net.name, " takes multiples of ",
           net.width_step);
  TT_CHECK(r.micro_batch == 0 || r.batch % r.micro_batch == 0, UsageError, "the micro-batch ", r.micro_batch,
           " does not divide the batch ", r.batch);
  TT_CHECK(r.size % 8 == 0, UsageError, "size is ", r.size, ", expected a multiple of 8");
  TT_CHECK(r.mask_area_min <= r.mask_area_max, UsageError, "mask_area_min ", r.mask_area_min,
           " is larger than mask_area_max ", r.mask_area_max);
  TT_CHECK(r.min_crop <= r.max_crop, UsageError, "min_crop ", r.min_crop, " is larger than max_crop ", r.max_crop);
  TT_CHECK(r.perceptual_weight == 0 || !r.perceptual_net.empty(), UsageError, "perceptual_weight ", r.perceptual_weight,
           " needs perceptual_net, a file with VGG11's weights");
  TT_CHECK(r.perceptual_weight == 0 || r.size >= 16, UsageError, "size is ", r.size,
           ", the perceptual loss takes at least 16");
  TT_CHECK(r.texture_weight == 0 || r.size >= TextureLoss::kSmallest, UsageError, "size is ", r.size,
           ", the texture loss takes at least ", TextureLoss::kSmallest);
  TT_CHECK(r.l1_weight > 0 || r.perceptual_weight > 0 || r.texture_weight > 0 || r.hole_weight > 0 ||
               r.adversarial_weight > 0,
           UsageError, "every loss has weight 0: nothing would train");
}

nlohmann::ordered_json to_json(const InpaintRecipe& recipe) {
  InpaintRecipe copy = recipe;
  return to_json(hyperparameters(copy));
}

}  // namespace telltale
