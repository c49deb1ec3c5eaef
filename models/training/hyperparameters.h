#pragma once
// Hyper-parameters by name: one table serves recipe files, command-line flags and config.json.
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "losses/loss.h"

namespace CLI {
class App;
}

namespace telltale {

/// One hyper-parameter: its name in JSON (the flag is "--" and the same with dashes), where it lies and what it may be.
struct Hyperparameter {
  const char* name;
  const char* help;
  std::variant<std::string*, double*, int*, bool*, LossSettings*> value;
  double low = 0, high = 0;               ///< of numbers, both included
  std::vector<std::string> choices = {};  ///< of strings; empty: any
};

/// Sets those that `json` names and leaves the others. Throws UsageError, beginning with `where`, on an unknown name
/// (listing the known ones), a wrong type, a value out of range or not among the choices.
void apply(const std::vector<Hyperparameter>& table, const nlohmann::json& json, const std::string& where);
/// A recipe file: one JSON object. Throws UsageError naming the file.
nlohmann::json read_recipe(const std::string& path);
/// Every one, in the table's order.
nlohmann::ordered_json to_json(const std::vector<Hyperparameter>& table);
/// Offers each as a flag; what is given lands in `overrides` under its recipe name. `overrides` must outlive the app.
void add_flags(CLI::App& app, const std::vector<Hyperparameter>& table, nlohmann::json& overrides);

/// "a, b, c": for messages.
std::string joined(const std::vector<std::string>& words);

}  // namespace telltale
