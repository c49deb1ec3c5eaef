#include "models/training/hyperparameters.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>

#include "base/check.h"

namespace telltale {
namespace {

/// Reads one JSON value into its place; the text names what was wrong.
struct Assign {
  const Hyperparameter& field;
  const nlohmann::json& value;
  const std::string& where;

  [[noreturn]] void refuse(const std::string& expected) const {
    throw UsageError(cat(where, ": ", field.name, " is ", value.dump(), ", expected ", expected));
  }
  void operator()(std::string* to) const {
    if (!value.is_string()) refuse("text");
    const std::string text = value.get<std::string>();
    const bool known = std::find(field.choices.begin(), field.choices.end(), text) != field.choices.end();
    if (!field.choices.empty() && !known) refuse("one of " + joined(field.choices));
    *to = text;
  }
  void operator()(double* to) const {
    const std::string range = cat("a number from ", field.low, " to ", field.high);
    if (!value.is_number()) refuse(range);
    const double v = value.get<double>();
    if (!(v >= field.low && v <= field.high)) refuse(range);
    *to = v;
  }
  void operator()(int* to) const {
    const std::string range = cat("a whole number from ", int64_t(field.low), " to ", int64_t(field.high));
    if (!value.is_number_integer()) refuse(range);
    const double v = value.get<double>();
    if (!(v >= field.low && v <= field.high)) refuse(range);
    *to = int(v);
  }
  void operator()(bool* to) const {
    if (!value.is_boolean()) refuse("true or false");
    *to = value.get<bool>();
  }
  void operator()(LossSettings* to) const {
    if (!value.is_object()) refuse("an object of numbers, such as {\"smooth_l1_beta\": 1}");
    LossSettings settings;
    for (const auto& [name, number] : value.items()) {
      if (!number.is_number()) refuse("an object of numbers");
      settings[name] = number.get<double>();
    }
    *to = settings;
  }
};

/// "--freeze-backbone" for freeze_backbone.
std::string flag_of(const char* name) {
  std::string flag = cat("--", name);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

/// Offers a hyper-parameter as a flag of its type.
struct AddFlag {
  CLI::App& app;
  nlohmann::json& overrides;
  const Hyperparameter& field;

  std::string help() const { return field.help + (field.choices.empty() ? "" : ": " + joined(field.choices)); }
  template <class T>
  void option() const {
    app.add_option_function<T>(
           flag_of(field.name), [name = field.name, &to = overrides](const T& v) { to[name] = v; }, help())
        ->group("Hyper-parameters");
  }
  void operator()(std::string*) const { option<std::string>(); }
  void operator()(double*) const { option<double>(); }
  void operator()(int*) const { option<int>(); }
  void operator()(bool*) const {
    app.add_flag_callback(
           flag_of(field.name), [name = field.name, &to = overrides] { to[name] = true; }, help())
        ->group("Hyper-parameters");
  }
  void operator()(LossSettings*) const {
    const auto add = [name = field.name, &to = overrides](const std::vector<std::string>& pairs) {
      for (const std::string& pair : pairs) {
        const size_t at = pair.find('=');
        const nlohmann::json number =
            at == std::string::npos ? nlohmann::json() : nlohmann::json::parse(pair.substr(at + 1), nullptr, false);
        TT_CHECK(number.is_number(), UsageError, flag_of(name), " ", pair, ": expected NAME=NUMBER");
        to[name][pair.substr(0, at)] = number;
      }
    };
    app.add_option_function<std::vector<std::string>>(flag_of(field.name), add, help() + ": NAME=NUMBER …")
        ->take_all()
        ->group("Hyper-parameters");
  }
};

}  // namespace

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& w : words) text += (text.empty() ? "" : ", ") + w;
  return text;
}

void apply(const std::vector<Hyperparameter>& table, const nlohmann::json& json, const std::string& where) {
  TT_CHECK(json.is_object(), UsageError, where, ": expected a JSON object of hyper-parameters");
  for (const auto& [name, value] : json.items()) {
    const auto field = std::find_if(table.begin(), table.end(), [&, &n = name](auto& f) { return n == f.name; });
    if (field == table.end()) {
      std::vector<std::string> known;
      for (const Hyperparameter& f : table) known.push_back(f.name);
      throw UsageError(cat(where, ": unknown hyper-parameter \"", name, "\"; known are ", joined(known)));
    }
    std::visit(Assign{*field, value, where}, field->value);
  }
}

nlohmann::json read_recipe(const std::string& path) {
  std::ifstream file(path);
  TT_CHECK(file, UsageError, "cannot open the recipe ", path);
  const nlohmann::json json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  TT_CHECK(!json.is_discarded(), UsageError, path, ": a recipe is one JSON object; this does not parse");
  return json;
}

nlohmann::ordered_json to_json(const std::vector<Hyperparameter>& table) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const Hyperparameter& f : table) {
    std::visit([&](const auto* value) { json[f.name] = *value; }, f.value);
  }
  return json;
}

void add_flags(CLI::App& app, const std::vector<Hyperparameter>& table, nlohmann::json& overrides) {
  for (const Hyperparameter& field : table) std::visit(AddFlag{app, overrides, field}, field.value);
}

}  // namespace telltale
