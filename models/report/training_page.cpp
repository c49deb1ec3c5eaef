#include "models/report/training_page.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/check.h"
#include "base/choice.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "data/codec.h"
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

/// Which chart a column is drawn in, and what its line there is called.
struct Place {
  std::string title, line;
};
Place place_of(const std::string& column) {
  if (column == "mean_fill_psnr") return {"psnr", "mean colour"};
  const bool train = column.starts_with(kTrain), validation = column.starts_with(kValidation);
  return {figure_name(column), train ? "training" : validation ? "validation" : ""};
}

/// Losses that a run was not asked for are 0 throughout.
bool tells_nothing(const std::string& column, const std::vector<double>& values) {
  return !column.starts_with(kTrain) && !column.starts_with(kValidation) &&
         std::all_of(values.begin(), values.end(), [](double v) { return v == 0; });
}

/// A chart for each figure, in order of appearance: {title, axis, at, series: [{name, values}]}; NaN becomes null.
ordered_json charts_of(const Columns& c) {
  ordered_json charts = ordered_json::array();
  std::map<std::string, size_t> place;
  for (size_t k = 1; k < c.names.size(); ++k) {
    if (tells_nothing(c.names[k], c.values[k])) continue;
    const auto [title, line] = place_of(c.names[k]);
    const auto [at, is_new] = place.emplace(title, charts.size());
    if (is_new)
      charts.push_back(
          {{"title", title}, {"axis", c.names[0]}, {"at", c.values[0]}, {"series", ordered_json::array()}});
    charts[at->second]["series"].push_back({{"name", line}, {"values", c.values[k]}});
  }
  return charts;
}

/// The figures of a row, as the page's table has them; nothing of a row that is not there.
ordered_json measures_at(const Columns& c, size_t row) {
  ordered_json measures = ordered_json::array();
  for (size_t k = 1; k < c.names.size() && row < c.values[k].size(); ++k) {
    if (c.names[k] == "lr" || tells_nothing(c.names[k], c.values[k])) continue;
    const double value = c.values[k][row];
    measures.push_back({figure_name(c.names[k]), std::isfinite(value) ? ordered_json(value) : ordered_json(),
                        place_of(c.names[k]).line});
  }
  return measures;
}

constexpr size_t kMostSheets = 12;
constexpr int kSheetWidth = 1100, kSheetQuality = 85;

/// Of the sample sheets that a run painted: the first, the last, and others evenly between.
std::vector<PageSheet> sheets_of(const std::string& folder) {
  std::error_code none;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none))
    if (entry.path().extension() == ".png") files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());  // step_0000400.png
  std::vector<PageSheet> sheets;
  const size_t count = std::min(files.size(), kMostSheets);
  for (size_t i = 0; i < count; ++i) {
    const std::string& file = files[count == 1 ? 0 : i * (files.size() - 1) / (count - 1)];
    Image sheet = read_image(file);
    if (sheet.width > kSheetWidth)
      sheet = resize(sheet, kSheetWidth, std::max(1, sheet.height * kSheetWidth / sheet.width), Filter::bilinear);
    const std::string stem = std::filesystem::path(file).stem().string();
    sheets.push_back({.name = cat("step ", std::atoll(stem.c_str() + std::min(stem.size(), stem.find('_') + 1))),
                      .shows = "held-out photographs, the same with their holes, and these as both stages painted them",
                      .jpeg = encode_jpeg(sheet, kSheetQuality)});
  }
  return sheets;
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
  weights.erase("recipe");                    // a card of its own
  const std::string unit = results.names[0];  // epochs, or the inpainter's steps
  const std::vector<double>& times = results.values[0];
  const double kept = std::atof(weights.value(unit, "0").c_str());
  if (unit == "step")
    head.summary = cat(times.empty() ? 0 : times.back(), " steps; the weights kept are the moving average after step ",
                       kept, ", judged on photographs held out.");
  else
    head.summary =
        cat(times.size(), " epochs; the weights kept are those of epoch ", kept, ", judged on the validation split.");
  head.measures = measures_at(results, size_t(std::find(times.begin(), times.end(), kept) - times.begin()));
  head.sheets = sheets_of(run_folder + "/samples");
  head.lines = charts_of(results);
  ordered_json run = ordered_json::object();
  for (const auto& [name, value] : config.items())
    if (name != "recipe" && name != "dataset" && name != "photographs" && name != "command") run[name] = value;
  head.facts["Weights"] = std::move(weights);
  head.facts["Recipe"] = card_of(config.at("recipe"));
  if (config.contains("dataset")) head.facts["Dataset"] = card_of(config.at("dataset"));
  if (config.contains("photographs")) head.facts["Photographs"] = card_of(config.at("photographs"));
  head.facts["Run"] = card_of(run);
  return ReportPage(0, 0).html(head, ordered_json::object());
}

}  // namespace telltale
