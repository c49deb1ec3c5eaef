#include "models/training/run_folder.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/json_text.h"
#include "base/outputs.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kAnother = "another run of train";
constexpr const char* kMetrics = "metrics.jsonl";
constexpr const char* kTiming = "timing.csv";
constexpr const char* kTimingHeader = "epoch,seconds,images_per_second,loader_wait_share\n";

/// Keeps the lines for which keep(line) holds.
template <class F>
void filter_lines(const std::string& path, F&& keep) {
  if (!fs::exists(path)) return;
  std::ifstream file(path);
  std::string kept;
  for (std::string line; std::getline(file, line);) {
    if (!file.eof() && keep(line)) kept += line + "\n";  // a last line without its end was torn
  }
  write_atomically(path, kept);
}

/// A table's fields, line by line; nothing in it is quoted.
std::vector<std::vector<std::string>> rows_of(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');) rows.back().push_back(field);
  }
  return rows;
}

}  // namespace

RunFolder::RunFolder(const std::string& dir, bool resume) : dir_(dir), resume_(resume) {
  if (!fs::exists(dir)) return;
  TT_CHECK(fs::is_directory(dir), UsageError, dir, ": the run folder is a file");
  lock_ = FolderLock(dir, kAnother);
  remove_abandoned(dir);
  const bool empty = first_content(dir).empty();
  TT_CHECK(empty || resume, UsageError, dir,
           ": the run folder is not empty: choose another, or continue that run with --resume");
  TT_CHECK(empty || fs::exists(path("config.json")), UsageError, dir,
           ": cannot --resume: it has files but no config.json, so it is not a run's folder");
  continues_ = fs::exists(checkpoint());
}

RunFolder RunFolder::kept_elsewhere(const std::string& dir, bool continues) {
  RunFolder folder;
  folder.dir_ = dir;
  folder.continues_ = continues;
  folder.kept_here_ = false;
  return folder;
}

ordered_json RunFolder::begin(const ordered_json& given, const Binding& binding) {
  std::error_code error;
  fs::create_directories(dir_, error);
  TT_CHECK(fs::is_directory(dir_), DataError, dir_, ": cannot make this folder: ", error.message());
  if (!lock_.holds()) {
    lock_ = FolderLock(dir_, kAnother);
    TT_CHECK(resume_ || first_content(dir_).empty(), UsageError, dir_, ": another run was begun in it meanwhile");
  }
  const std::string file = path("config.json");
  const ordered_json config = ordered_json::parse(json_text(given));  // as it is read again: paths need not be UTF-8
  if (!fs::exists(file)) {
    write_atomically(file, json_text(config, 2) + "\n");
    return config;
  }
  ordered_json old;
  try {
    std::ifstream stream(file);
    old = ordered_json::parse(stream);
    const ordered_json before = binding(old), now = binding(config);
    for (const auto& [name, value] : now.items()) {
      TT_CHECK(before.contains(name) && before.at(name) == value, UsageError, dir_, ": this run began with ", name, " ",
               before.value(name, ordered_json()).dump(), ", not ", value.dump(),
               ": continue with the same settings, or start anew in another folder");
    }
  } catch (const ordered_json::exception& e) {
    throw DataError(cat(file, ": not the config of a run: ", e.what()));
  }
  for (const char* length : {"epochs", "steps"}) {
    if (!config.at("recipe").contains(length) || old["recipe"][length] == config.at("recipe").at(length)) continue;
    old["recipe"][length] = config.at("recipe").at(length);
    write_atomically(file, json_text(old, 2) + "\n");
  }
  return old;
}

void RunFolder::rewind(int64_t step, int epochs, const std::string& results) {
  if (!kept_here_) return;
  filter_lines(path(kMetrics), [&](const std::string& line) {
    const ordered_json json = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    return json.is_object() && json.value("step", step + 1) <= step;
  });
  filter_lines(path(kTiming), [&](const std::string& line) {
    return line + "\n" == kTimingHeader || std::strtol(line.c_str(), nullptr, 10) <= epochs;
  });
  shown_rows_ = rows_of(results).size();
  if (!events_folder_.empty()) events_.emplace(events_folder_, step + 1);
  write_results(results);
}

void RunFolder::log_step(const ordered_json& line) {
  if (!kept_here_) return;
  append(kMetrics, json_text(line));
  if (!events_) return;
  std::vector<std::pair<std::string, double>> values;
  for (const auto& [name, value] : line.items())
    if (value.is_number() && name != "step") values.emplace_back("train/" + name, value.get<double>());
  events_->scalars(line.at("step").get<int64_t>(), values);
}

void RunFolder::log_picture(int64_t step, const std::string& kind, const std::string& png_file) {
  if (events_) events_->image(step, kind, png_file);
}

void RunFolder::write_results(const std::string& csv) {
  if (!kept_here_) return;
  write_atomically(path("results.csv"), csv);
  if (events_) show_results(csv);
}

/// Its new rows, each at the step or epoch that its first column says.
void RunFolder::show_results(const std::string& csv) {
  const std::vector<std::vector<std::string>> rows = rows_of(csv);
  for (; shown_rows_ < rows.size(); ++shown_rows_) {
    const std::vector<std::string>&names = rows[0], &row = rows[shown_rows_];
    std::vector<std::pair<std::string, double>> values;
    for (size_t k = 1; k < row.size(); ++k)
      values.emplace_back("by_" + names[0] + "/" + names[k], std::strtod(row[k].c_str(), nullptr));
    if (shown_rows_ > 0) events_->scalars(std::strtoll(row[0].c_str(), nullptr, 10), values);
  }
}

void RunFolder::log_timing(int epoch, double seconds, double images_per_second, double wait_share) {
  if (!kept_here_) return;
  if (!fs::exists(path(kTiming))) write_atomically(path(kTiming), kTimingHeader);
  append(kTiming, cat(epoch, ",", seconds, ",", images_per_second, ",", wait_share));
}

void RunFolder::append(const std::string& name, const std::string& line) {
  std::ofstream file(path(name), std::ios::app);
  file << line << "\n" << std::flush;
  TT_CHECK(file, DataError, path(name), ": cannot write: is the disk full?");
}

}  // namespace telltale
