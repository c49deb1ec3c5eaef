#include "models/locator/recipe.h"

#include "base/check.h"
#include "losses/pixels.h"
#include "models/locator/task.h"

namespace telltale {

std::vector<Hyperparameter> hyperparameters(LocateRecipe& r) {
  std::vector<Hyperparameter> table = {
      {.name = "description", .help = "what the recipe is for", .value = &r.description},
      {.name = "net", .help = "the locator", .value = &r.net, .choices = locator_nets()},
      {.name = "width", .help = "channels at half resolution", .value = &r.width, .low = 4, .high = 256},
      {.name = "residuals",
       .help = "show the net \"locator\" the picture's high-pass residuals, too",
       .value = &r.residuals},
      {.name = "bayar",
       .help = "show the net \"locator\" what learnt filters leave that predict each pixel (Bayar and Stamm 2016), too",
       .value = &r.bayar},
      {.name = "scales",
       .help = "at how many sizes the net \"trace_locator\" takes residuals, 1 or 2",
       .value = &r.scales,
       .low = 1,
       .high = 2},
      {.name = "window",
       .help = "train on windows of that many pixels a side, a multiple of 8; 0: on whole images",
       .value = &r.window,
       .low = 0,
       .high = 4096}};
  add_optimisation(table, r);
  const std::vector<Hyperparameter> own = {
      {.name = "loss", .help = "of the map", .value = &r.loss, .choices = pixel_loss_names()},
      {.name = "loss_set", .help = "the loss's own numbers", .value = &r.loss_settings},
      {.name = "augment", .help = "of training images", .value = &r.augment, .choices = {"flip", "none"}}};
  table.insert(table.end(), own.begin(), own.end());
  Degradation& d = r.degradation;
  const std::vector<Hyperparameter> harm = {
      {.name = "resize", .help = "probability that a training image is scaled", .value = &d.resize, .high = 1},
      {.name = "resize_low", .help = "least factor", .value = &d.resize_low, .low = .1, .high = 1},
      {.name = "resize_high", .help = "largest factor", .value = &d.resize_high, .low = 1, .high = 4},
      {.name = "crop", .help = "probability that it loses its grid of JPEG blocks", .value = &d.crop, .high = 1},
      {.name = "blur", .help = "probability that it is blurred", .value = &d.blur, .high = 1},
      {.name = "sharpen", .help = "probability that it is sharpened", .value = &d.sharpen, .high = 1},
      {.name = "noise", .help = "probability that it gets noise", .value = &d.noise, .high = 1},
      {.name = "grey", .help = "probability that it loses its colours", .value = &d.grey, .high = 1},
      {.name = "jpeg_twice",
       .help = "probability that it is saved as a JPEG before the last time",
       .value = &d.twice,
       .high = 1},
      {.name = "webp", .help = "probability that it is saved as a WebP instead", .value = &d.webp, .high = 1},
      {.name = "jpeg", .help = "probability that it is saved as a JPEG", .value = &d.jpeg, .high = 1},
      {.name = "jpeg_low", .help = "lowest quality", .value = &d.jpeg_low, .low = 1, .high = 100},
      {.name = "jpeg_high", .help = "highest quality", .value = &d.jpeg_high, .low = 1, .high = 100}};
  table.insert(table.end(), harm.begin(), harm.end());
  add_precision(table, r);
  return table;
}

void check_recipe(const LocateRecipe& r) {
  check_batches(r);
  TT_CHECK(r.window % 8 == 0, UsageError, "window is ", r.window, ", expected a multiple of 8");
  TT_CHECK(r.degradation.jpeg_low <= r.degradation.jpeg_high, UsageError, "jpeg_low is ", r.degradation.jpeg_low,
           ", above jpeg_high, ", r.degradation.jpeg_high);
  make_pixel_loss(r.loss, r.loss_settings);
}

nlohmann::ordered_json to_json(const LocateRecipe& recipe) {
  LocateRecipe copy = recipe;
  return to_json(hyperparameters(copy));
}

}  // namespace telltale
