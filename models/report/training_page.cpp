#include "models/report/training_page.h"

#include <cmath>
#include <cstdlib>
#include <map>

#include "base/check.h"
#include "base/choice.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "models/report/evaluation_page.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

std::string text_of(const std::string& path) {
  try {
    const MappedFile file(path);
    return {file.bytes().begin(), file.bytes().end()};
  } catch (const DataError& e) {
    throw DataError(cat(path, ": ", e.what()));
  }
}

/// Columns of numbers by their names, in the file's order.
struct Columns {
  std::vector<std::string> names;
  std::vector<std::vector<double>> values;
};

Columns columns_of(const std::string& path) {
  std::vector<std::string> lines = split(text_of(path), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  TT_CHECK(!lines.empty(), DataError, path, ": is empty");
  Columns c{.names = split(lines[0], ','), .values = {}};
  c.values.resize(c.names.size());
  for (size_t row = 1; row < lines.size(); ++row) {
    const std::vector<std::string> cells = split(lines[row], ',');
    TT_CHECK(cells.size() == c.names.size(), DataError, path, ": line ", row + 1, " has ", cells.size(),
             " fields, the first ", c.names.size());
    for (size_t k = 0; k < cells.size(); ++k) {
      char* end = nullptr;
      const double value = std::strtod(cells[k].c_str(), &end);
      TT_CHECK(end && *end == '\0', DataError, path, ": line ", row + 1, ": ", cells[k], " is not a number");
      c.values[k].push_back(cells[k].empty() ? std::nan("") : value);
    }
  }
  return c;
}

constexpr std::string_view kTrain = "train_", kValidation = "val_";

/// "train_pixel_iou" → "pixel iou".
std::string figure_name(const std::string& column) {
  std::string name = column;
  for (const std::string_view before : {kTrain, kValidation})
    if (name.starts_with(before)) name = name.substr(before.size());
  for (char& c : name)
    if (c == '_') c = ' ';
  return name == "lr" ? "learning rate" : name;
}

/// A chart for each figure, in order of appearance: {title, axis, at, series: [{name, values}]}; NaN becomes null.
ordered_json charts_of(const Columns& c) {
  ordered_json charts = ordered_json::array();
  std::map<std::string, size_t> place;
  for (size_t k = 1; k < c.names.size(); ++k) {
    const std::string title = figure_name(c.names[k]);
    const auto [at, is_new] = place.emplace(title, charts.size());
    if (is_new)
      charts.push_back(
          {{"title", title}, {"axis", c.names[0]}, {"at", c.values[0]}, {"series", ordered_json::array()}});
    const char* name = c.names[k].starts_with(kTrain)        ? "training"
                       : c.names[k].starts_with(kValidation) ? "validation"
                                                             : "";
    charts[at->second]["series"].push_back({{"name", name}, {"values", c.values[k]}});
  }
  return charts;
}

/// What a card says: texts, numbers and truths as they are, the rest as JSON.
ordered_json card_of(const ordered_json& object) {
  ordered_json card = ordered_json::object();
  for (const auto& [name, value] : object.items()) {
    if (value.is_structured() && value.empty()) continue;
    card[name] = value.is_structured() ? ordered_json(value.dump()) : value;
  }
  return card;
}

}  // namespace

std::string training_page(const std::string& run_folder) {
  const std::string config_file = run_folder + "/config.json", best = run_folder + "/best.safetensors";
  const ordered_json config = ordered_json::parse(text_of(config_file), nullptr, false);
  TT_CHECK(config.is_object() && config.contains("recipe"), DataError, config_file, ": is not a run's");
  const Columns results = columns_of(run_folder + "/results.csv");
  PageHead head{.title = cat("Training in ", run_folder), .command = config.value("command", "")};
  ordered_json weights = weights_card(best, sha256_file(best));
  weights.erase("recipe");  // a card of its own
  const int epoch = std::atoi(weights.value("epoch", "0").c_str());
  head.summary = cat(results.values[0].size(), " epochs; the weights kept are those of epoch ", epoch,
                     ", judged on the validation split.");
  for (size_t k = 1; k < results.names.size() && epoch > 0 && size_t(epoch) <= results.values[k].size(); ++k) {
    if (results.names[k] == "lr") continue;
    const double value = results.values[k][size_t(epoch) - 1];
    head.measures.push_back({figure_name(results.names[k]), std::isfinite(value) ? ordered_json(value) : ordered_json(),
                             results.names[k].starts_with(kTrain) ? "training" : "validation"});
  }
  head.lines = charts_of(results);
  ordered_json run = ordered_json::object();
  for (const auto& [name, value] : config.items())
    if (name != "recipe" && name != "dataset" && name != "command") run[name] = value;
  head.facts["Weights"] = std::move(weights);
  head.facts["Recipe"] = card_of(config.at("recipe"));
  if (config.contains("dataset")) head.facts["Dataset"] = card_of(config.at("dataset"));
  head.facts["Run"] = card_of(run);
  return ReportPage(0, 0).html(head, ordered_json::object());
}

}  // namespace telltale
