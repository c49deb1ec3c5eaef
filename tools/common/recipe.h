#pragma once
// Hyper-parameters by name: one table serves recipe files, command-line flags and config.json.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

#include "losses/loss.h"

namespace telltale {

/// Everything that decides what is learnt, but for data, initial weights and seed. Defaults are the paper's (its table
/// 2 and section on training).
struct Recipe {
  std::string description;
  std::string net;
  double width = 1;     ///< DetectorSettings::width
  int size = 256;       ///< the net sees size × size
  int epochs = 7;       ///< passes over the training split
  int batch = 512;      ///< samples per optimiser step
  int micro_batch = 0;  ///< samples per forward and backward pass, dividing batch; 0: as many as memory holds well
  double lr = 1e-3;
  std::string schedule = "constant";
  int warmup = 0;  ///< steps of linear rise
  std::string loss = "smooth_l1";
  LossSettings loss_settings;
  double alpha = 100, beta = 0.8;
  std::string box_unit = "pixel";
  double dropout = 0.5;
  bool freeze_backbone = false;
  std::string augment = "flip";
  std::string precision = "f32";
  int limit = 0;  ///< train on that many images only; 0: all
};

/// One hyper-parameter: its name in JSON (the flag is "--" and the same with dashes), where it lies and what it may be.
struct RecipeField {
  using Member =
      std::variant<std::string Recipe::*, double Recipe::*, int Recipe::*, bool Recipe::*, LossSettings Recipe::*>;
  const char* name;
  const char* help;
  Member member;
  double low = 0, high = 0;               ///< of numbers, both included
  std::vector<std::string> choices = {};  ///< of strings; empty: any
};
const std::vector<RecipeField>& recipe_fields();

/// Sets the fields that `json` names and leaves the others. Throws UsageError, beginning with `where`, on an unknown
/// name (listing the known ones), a wrong type, a value out of range or not among the choices.
void apply_recipe(Recipe& to, const nlohmann::json& json, const std::string& where);
/// A recipe file: one JSON object. Throws UsageError naming the file.
nlohmann::json read_recipe(const std::string& path);
/// What must hold between fields: a net is named, the micro-batch divides the batch, the loss compares boxes. Throws
/// UsageError.
void check_recipe(const Recipe&);
/// Every field, in the table's order.
nlohmann::ordered_json to_json(const Recipe&);

}  // namespace telltale
