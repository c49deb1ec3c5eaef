#include "tools/common/recipe.h"

#include "kernels/core/check.h"
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
  return {
      {.name = "description", .help = "what the recipe is for", .value = &r.description},
      {.name = "net", .help = "the detector", .value = &r.net, .choices = net_names()},
      {.name = "width", .help = "factor on every channel count", .value = &r.width, .low = 0.01, .high = 8},
      {.name = "size", .help = "the net sees size x size pixels", .value = &r.size, .low = 32, .high = 2048},
      {.name = "epochs", .help = "passes over the training split", .value = &r.epochs, .low = 1, .high = 100000},
      {.name = "batch", .help = "samples per optimiser step", .value = &r.batch, .low = 1, .high = 65536},
      {.name = "micro_batch",
       .help = "samples per pass through the net, dividing the batch; 0 chooses",
       .value = &r.micro_batch,
       .low = 0,
       .high = 65536},
      {.name = "lr", .help = "Adam's learning rate", .value = &r.lr, .low = 0, .high = 1e6},
      {.name = "schedule", .help = "of the learning rate", .value = &r.schedule, .choices = {"constant", "cosine"}},
      {.name = "warmup", .help = "steps of linear rise", .value = &r.warmup, .low = 0, .high = kMany},
      {.name = "loss", .help = "of the box", .value = &r.loss, .choices = box_loss_names()},
      {.name = "loss_settings", .help = "the loss's own numbers", .value = &r.loss_settings},
      {.name = "alpha", .help = "weight of the classification", .value = &r.alpha, .low = 0, .high = kMany},
      {.name = "beta", .help = "weight of the box", .value = &r.beta, .low = 0, .high = kMany},
      {.name = "box_unit",
       .help = "what the box loss measures in",
       .value = &r.box_unit,
       .choices = {"pixel", "normalised"}},
      {.name = "dropout", .help = "of AlexNet's and VGG11's classifiers", .value = &r.dropout, .low = 0, .high = 0.99},
      {.name = "freeze_backbone", .help = "train the last layer only", .value = &r.freeze_backbone},
      {.name = "augment", .help = "of training images", .value = &r.augment, .choices = {"flip", "none"}},
      {.name = "precision",
       .help = "of activations; tf32 on CUDA only, f16 with a dynamic loss scale",
       .value = &r.precision,
       .choices = {"f32", "tf32", "bf16", "f16"}},
      {.name = "limit", .help = "train on that many images only; 0: all", .value = &r.limit, .high = kMany},
  };
}

void check_recipe(const Recipe& r) {
  TT_CHECK(!r.net.empty(), UsageError, "no net: give --net (", joined(net_names()), ") or a --recipe that names one");
  TT_CHECK(r.micro_batch == 0 || r.batch % r.micro_batch == 0, UsageError, "the micro-batch ", r.micro_batch,
           " does not divide the batch ", r.batch);
  const LossSettings known = default_settings(r.loss);
  for (const auto& [name, value] : r.loss_settings) {
    std::vector<std::string> names;
    for (const auto& [k, unused] : known) names.push_back(k);
    TT_CHECK(known.count(name), UsageError, "the loss ", r.loss, " has no setting \"", name, "\"; it has ",
             names.empty() ? "none" : joined(names));
  }
}

nlohmann::ordered_json to_json(const Recipe& recipe) {
  Recipe copy = recipe;
  return to_json(hyperparameters(copy));
}

}  // namespace telltale
