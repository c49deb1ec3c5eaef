#pragma once
// A detector's hyper-parameters.
#include <string>
#include <vector>

#include "models/training/recipe.h"

namespace telltale {

/// Everything that decides what is learnt, but for data, initial weights and seed. Defaults, TrainingRecipe's among
/// them, are the paper's (its table 2 and section on training).
struct Recipe : TrainingRecipe {
  std::string net;
  double width = 1;  ///< DetectorSettings::width
  int size = 256;    ///< the net sees size × size
  std::string loss = "smooth_l1";
  std::string loss_file;  ///< where `loss` is compiled from; empty: it is built in
  LossSettings loss_settings;
  std::string class_loss = "bce";
  LossSettings class_settings;
  double alpha = 100, beta = 0.8;
  std::string box_unit = "pixel";
  double dropout = 0.5;
  bool freeze_backbone = false;
};

/// Where each field lies, its name and its range.
std::vector<Hyperparameter> hyperparameters(Recipe&);
/// Reads a recipe file (empty: none) and the command line's values over it; both are checked. A loss file is compiled,
/// becomes the loss, and its gradient is checked at the recipe's settings: UsageError with the worst point if it is
/// wrong.
void read_into(Recipe&, const std::string& recipe_file, nlohmann::json command_line);
/// What must hold between fields: a net is named, the micro-batch divides the batch, the losses have their settings.
/// Throws UsageError.
void check_recipe(const Recipe&);
/// What the detection loss of size × size images is made from.
DetectionSettings detection_settings(const Recipe&, int size);
/// Every field, in the table's order.
nlohmann::ordered_json to_json(const Recipe&);

}  // namespace telltale
