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
  add_precision(table, r);
  return table;
}

void check_recipe(const LocateRecipe& r) {
  check_batches(r);
  TT_CHECK(r.window % 8 == 0, UsageError, "window is ", r.window, ", expected a multiple of 8");
  make_pixel_loss(r.loss, r.loss_settings);
}

nlohmann::ordered_json to_json(const LocateRecipe& recipe) {
  LocateRecipe copy = recipe;
  return to_json(hyperparameters(copy));
}

}  // namespace telltale
