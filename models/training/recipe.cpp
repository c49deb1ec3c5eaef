#include "models/training/recipe.h"

#include "base/check.h"

namespace telltale {

void add_optimisation(std::vector<Hyperparameter>& table, TrainingRecipe& r) {
  constexpr double kMany = 1e9;
  const std::vector<Hyperparameter> fields = {
      {.name = "epochs", .help = "passes over the training split", .value = &r.epochs, .low = 1, .high = 100000},
      {.name = "batch", .help = "samples per optimiser step", .value = &r.batch, .low = 1, .high = 65536},
      {.name = "micro_batch",
       .help = "samples per pass through the net, dividing the batch; 0 chooses",
       .value = &r.micro_batch,
       .low = 0,
       .high = 65536},
      {.name = "lr", .help = "Adam's learning rate", .value = &r.lr, .low = 0, .high = 1e6},
      {.name = "schedule", .help = "of the learning rate", .value = &r.schedule, .choices = {"constant", "cosine"}},
      {.name = "warmup", .help = "steps of linear rise", .value = &r.warmup, .low = 0, .high = kMany}};
  table.insert(table.end(), fields.begin(), fields.end());
}

void add_precision(std::vector<Hyperparameter>& table, TrainingRecipe& r) {
  table.push_back({.name = "precision",
                   .help = "of activations; tf32 on CUDA only, f16 with a dynamic loss scale",
                   .value = &r.precision,
                   .choices = {"f32", "tf32", "bf16", "f16"}});
  table.push_back({.name = "limit", .help = "train on that many images only; 0: all", .value = &r.limit, .high = 1e9});
}

void check_batches(const TrainingRecipe& r) {
  TT_CHECK(r.micro_batch == 0 || r.batch % r.micro_batch == 0, UsageError, "the micro-batch ", r.micro_batch,
           " does not divide the batch ", r.batch);
}

Schedule::Kind schedule_of(const std::string& name) {
  return name == "cosine" ? Schedule::Kind::cosine : Schedule::Kind::constant;
}

}  // namespace telltale
