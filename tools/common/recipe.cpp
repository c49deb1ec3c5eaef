#include "tools/common/recipe.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/core/check.h"
#include "nets/nets.h"

namespace telltale {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& w : words) text += (text.empty() ? "" : ", ") + w;
  return text;
}

std::vector<std::string> net_names() {
  std::vector<std::string> names;
  for (const DetectorNet& n : detector_nets()) names.push_back(n.name);
  return names;
}

/// Reads one JSON value into a member; the text names what was wrong.
struct Assign {
  Recipe& to;
  const RecipeField& field;
  const nlohmann::json& value;
  const std::string& where;

  [[noreturn]] void refuse(const std::string& expected) const {
    throw UsageError(cat(where, ": ", field.name, " is ", value.dump(), ", expected ", expected));
  }
  void operator()(std::string Recipe::*member) const {
    if (!value.is_string()) refuse("text");
    const std::string text = value.get<std::string>();
    const bool known = std::find(field.choices.begin(), field.choices.end(), text) != field.choices.end();
    if (!field.choices.empty() && !known) refuse("one of " + joined(field.choices));
    to.*member = text;
  }
  void operator()(double Recipe::*member) const {
    const std::string range = cat("a number from ", field.low, " to ", field.high);
    if (!value.is_number()) refuse(range);
    const double v = value.get<double>();
    if (!(v >= field.low && v <= field.high)) refuse(range);
    to.*member = v;
  }
  void operator()(int Recipe::*member) const {
    const std::string range = cat("a whole number from ", int64_t(field.low), " to ", int64_t(field.high));
    if (!value.is_number_integer()) refuse(range);
    const double v = value.get<double>();
    if (!(v >= field.low && v <= field.high)) refuse(range);
    to.*member = int(v);
  }
  void operator()(bool Recipe::*member) const {
    if (!value.is_boolean()) refuse("true or false");
    to.*member = value.get<bool>();
  }
  void operator()(LossSettings Recipe::*member) const {
    if (!value.is_object()) refuse("an object of numbers, such as {\"smooth_l1_beta\": 1}");
    LossSettings settings;
    for (const auto& [name, number] : value.items()) {
      if (!number.is_number()) refuse("an object of numbers");
      settings[name] = number.get<double>();
    }
    to.*member = settings;
  }
};

}  // namespace

const std::vector<RecipeField>& recipe_fields() {
  constexpr double kMany = 1e9;
  static const std::vector<RecipeField> fields = {
      {.name = "description", .help = "what the recipe is for", .member = &Recipe::description},
      {.name = "net", .help = "the detector", .member = &Recipe::net, .choices = net_names()},
      {.name = "width", .help = "factor on every channel count", .member = &Recipe::width, .low = 0.01, .high = 8},
      {.name = "size", .help = "the net sees size x size pixels", .member = &Recipe::size, .low = 32, .high = 2048},
      {.name = "epochs", .help = "passes over the training split", .member = &Recipe::epochs, .low = 1, .high = 100000},
      {.name = "batch", .help = "samples per optimiser step", .member = &Recipe::batch, .low = 1, .high = 65536},
      {.name = "micro_batch",
       .help = "samples per pass through the net, dividing the batch; 0 chooses",
       .member = &Recipe::micro_batch,
       .low = 0,
       .high = 65536},
      {.name = "lr", .help = "Adam's learning rate", .member = &Recipe::lr, .low = 0, .high = 1e6},
      {.name = "schedule",
       .help = "of the learning rate",
       .member = &Recipe::schedule,
       .choices = {"constant", "cosine"}},
      {.name = "warmup", .help = "steps of linear rise", .member = &Recipe::warmup, .low = 0, .high = kMany},
      {.name = "loss", .help = "of the box", .member = &Recipe::loss, .choices = box_loss_names()},
      {.name = "loss_settings", .help = "the loss's own numbers", .member = &Recipe::loss_settings},
      {.name = "alpha", .help = "weight of the classification", .member = &Recipe::alpha, .low = 0, .high = kMany},
      {.name = "beta", .help = "weight of the box", .member = &Recipe::beta, .low = 0, .high = kMany},
      {.name = "box_unit",
       .help = "what the box loss measures in",
       .member = &Recipe::box_unit,
       .choices = {"pixel", "normalised"}},
      {.name = "dropout",
       .help = "of AlexNet's and VGG11's classifiers",
       .member = &Recipe::dropout,
       .low = 0,
       .high = 0.99},
      {.name = "freeze_backbone", .help = "train the last layer only", .member = &Recipe::freeze_backbone},
      {.name = "augment", .help = "of training images", .member = &Recipe::augment, .choices = {"flip", "none"}},
      {.name = "precision",
       .help = "of activations; tf32 on CUDA only, f16 with a dynamic loss scale",
       .member = &Recipe::precision,
       .choices = {"f32", "tf32", "bf16", "f16"}},
      {.name = "limit", .help = "train on that many images only; 0: all", .member = &Recipe::limit, .high = kMany},
  };
  return fields;
}

void apply_recipe(Recipe& to, const nlohmann::json& json, const std::string& where) {
  TT_CHECK(json.is_object(), UsageError, where, ": expected a JSON object of hyper-parameters");
  const auto& fields = recipe_fields();
  for (const auto& [name, value] : json.items()) {
    const auto field = std::find_if(fields.begin(), fields.end(), [&, &n = name](auto& f) { return n == f.name; });
    if (field == fields.end()) {
      std::vector<std::string> known;
      for (const RecipeField& f : fields) known.push_back(f.name);
      throw UsageError(cat(where, ": unknown hyper-parameter \"", name, "\"; known are ", joined(known)));
    }
    std::visit(Assign{to, *field, value, where}, field->member);
  }
}

nlohmann::json read_recipe(const std::string& path) {
  std::ifstream file(path);
  TT_CHECK(file, UsageError, "cannot open the recipe ", path);
  const nlohmann::json json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  TT_CHECK(!json.is_discarded(), UsageError, path, ": a recipe is one JSON object; this does not parse");
  return json;
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
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const RecipeField& f : recipe_fields()) {
    std::visit([&](auto member) { json[f.name] = recipe.*member; }, f.member);
  }
  return json;
}

}  // namespace telltale
