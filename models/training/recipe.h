#pragma once
// The hyper-parameters that every task over a dataset has.
#include <string>
#include <vector>

#include "engine/optimizer.h"
#include "models/training/hyperparameters.h"

namespace telltale {

struct TrainingRecipe {
  std::string description;
  int epochs = 7;       ///< passes over the training split
  int batch = 512;      ///< samples per optimiser step
  int micro_batch = 0;  ///< samples per forward and backward pass, dividing batch; 0: as many as memory holds well
  double lr = 1e-3;
  std::string schedule = "constant";
  int warmup = 0;  ///< steps of linear rise
  std::string augment = "flip";
  std::string precision = "f32";
  int limit = 0;  ///< train on that many images only; 0: all
};

/// epochs … warmup.
void add_optimisation(std::vector<Hyperparameter>& table, TrainingRecipe&);
/// precision, limit.
void add_precision(std::vector<Hyperparameter>& table, TrainingRecipe&);
/// Throws UsageError unless the micro-batch divides the batch.
void check_batches(const TrainingRecipe&);
/// The learning rate of a recipe's `schedule` by name.
Schedule::Kind schedule_of(const std::string& name);

}  // namespace telltale
