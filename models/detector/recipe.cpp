#include "models/detector/recipe.h"

#include "base/check.h"
#include "losses/audit.h"
#include "losses/loss_file.h"
#include "nets/nets.h"

namespace telltale {
namespace {

std::vector<std::string> net_names() {
  std::vector<std::string> names;
  for (const DetectorNet& n : detector_nets()) names.push_back(n.name);
  return names;
}

}  // namespace

std::vector<Hyperparameter> hyperparameters(Recipe& r) {
  constexpr double kMany = 1e9;
  std::vector<Hyperparameter> table = {
      {.name = "description", .help = "what the recipe is for", .value = &r.description},
      {.name = "net", .help = "the detector", .value = &r.net, .choices = net_names()},
      {.name = "width", .help = "factor on every channel count", .value = &r.width, .low = 0.01, .high = 8},
      {.name = "size", .help = "the net sees size x size pixels", .value = &r.size, .low = 32, .high = 2048}};
  add_optimisation(table, r);
  const std::vector<Hyperparameter> own = {
      {.name = "loss", .help = "of the box; help describes them all", .value = &r.loss, .choices = box_loss_names()},
      {.name = "loss_file", .help = "take the box loss from this file (docs/losses.md)", .value = &r.loss_file},
      {.name = "loss_set", .help = "the box loss's own numbers", .value = &r.loss_settings},
      {.name = "class_loss", .help = "of the label", .value = &r.class_loss, .choices = class_loss_names()},
      {.name = "class_loss_set", .help = "the label loss's own numbers", .value = &r.class_settings},
      {.name = "alpha", .help = "weight of the classification", .value = &r.alpha, .low = 0, .high = kMany},
      {.name = "beta", .help = "weight of the box", .value = &r.beta, .low = 0, .high = kMany},
      {.name = "box_unit",
       .help = "what the box loss measures in",
       .value = &r.box_unit,
       .choices = {"pixel", "normalised"}},
      {.name = "dropout", .help = "of AlexNet's and VGG11's classifiers", .value = &r.dropout, .low = 0, .high = 0.99},
      {.name = "freeze_backbone", .help = "train the last layer only", .value = &r.freeze_backbone},
      {.name = "augment", .help = "of training images", .value = &r.augment, .choices = {"flip", "none"}},
  };
  table.insert(table.end(), own.begin(), own.end());
  add_precision(table, r);
  return table;
}

void read_into(Recipe& r, const std::string& recipe_file, nlohmann::json command_line) {
  nlohmann::json recipe = nlohmann::json::object();
  if (!recipe_file.empty()) recipe = read_recipe(recipe_file);
  // Before anything is checked: the file's loss is one of the known ones then. The one who names it names the loss.
  for (nlohmann::json* from : {&recipe, &command_line}) {
    if (!from->is_object() || !from->contains("loss_file") || !from->at("loss_file").is_string()) continue;
    if (from == &recipe && command_line.contains("loss_file")) continue;
    const std::string file = from->at("loss_file");
    if (file.empty()) continue;
    const std::string name = load_loss_file(file);
    if (!from->contains("loss")) (*from)["loss"] = name;
  }
  // A recipe's settings are its own loss's.
  if (recipe.is_object() && command_line.contains("loss") &&
      command_line["loss"] != recipe.value("loss", nlohmann::json(r.loss))) {
    recipe.erase("loss_set");
  }
  apply(hyperparameters(r), recipe, recipe_file);
  apply(hyperparameters(r), command_line, "command line");
  if (!r.loss_file.empty()) require_right_gradient(r.loss, r.loss_settings);
}

DetectionSettings detection_settings(const Recipe& r, int size) {
  return {.alpha = r.alpha,
          .beta = r.beta,
          .box_unit = box_unit_of(r.box_unit),
          .width = size,
          .height = size,
          .box_settings = r.loss_settings,
          .class_loss = r.class_loss,
          .class_settings = r.class_settings};
}

void check_recipe(const Recipe& r) {
  TT_CHECK(!r.net.empty(), UsageError, "no net: give --net (", joined(net_names()), ") or a --recipe that names one");
  check_batches(r);
  make_loss(r.loss, r.loss_settings);
  make_loss(r.class_loss, r.class_settings);
}

nlohmann::ordered_json to_json(const Recipe& recipe) {
  Recipe copy = recipe;
  return to_json(hyperparameters(copy));
}

}  // namespace telltale
