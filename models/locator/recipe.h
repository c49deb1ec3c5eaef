#pragma once
// A locator's hyper-parameters.
#include <string>
#include <vector>

#include "data/degrade.h"
#include "models/training/recipe.h"

namespace telltale {

/// Everything that decides what is learnt, but for data, initial weights and seed.
struct LocateRecipe : TrainingRecipe {
  LocateRecipe() {
    epochs = 20;
    batch = 32;
    schedule = "cosine";
  }
  std::string net = "locator";
  int width = 16;         ///< LocatorSettings::width
  bool residuals = true;  ///< LocatorSettings::residuals
  bool bayar = false;     ///< LocatorSettings::bayar
  int scales = 1;         ///< TraceLocatorSettings::scales
  int window = 128;       ///< trains on windows of window × window; 0: on whole images
  std::string loss = "bce";
  LossSettings loss_settings;
  Degradation degradation;  ///< of training images, on real and painted ones alike
};

/// Where each field lies, its name and its range.
std::vector<Hyperparameter> hyperparameters(LocateRecipe&);
/// What must hold between fields. Throws UsageError.
void check_recipe(const LocateRecipe&);
/// Every field, in the table's order.
nlohmann::ordered_json to_json(const LocateRecipe&);

}  // namespace telltale
