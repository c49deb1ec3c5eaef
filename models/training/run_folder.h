#pragma once
// A run's folder: config.json, metrics.jsonl, results.csv, timing.csv, last.safetensors, best.safetensors.
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/folder_lock.h"
#include "models/training/event_file.h"

namespace telltale {

/// Keeps the folder's files in step with the checkpoint, so that a continued run ends with the files of an unbroken
/// one. What depends on the clock stands in metrics.jsonl and timing.csv only.
class RunFolder {
 public:
  /// Without `resume` the folder must be empty or absent; with it, or be a run's, and what an interrupted write left
  /// there is removed. Throws UsageError otherwise, DataError when another run is at work in it: the folder is held
  /// from the moment it is there. Creates nothing.
  RunFolder(const std::string& dir, bool resume);
  /// The folder of a run that another process keeps: to read from. What is logged is dropped.
  static RunFolder kept_elsewhere(const std::string& dir, bool continues);

  std::string path(const std::string& name) const { return dir_ + "/" + name; }
  std::string checkpoint() const { return path("last.safetensors"); }
  std::string best() const { return path("best.safetensors"); }
  /// Whether there is a checkpoint to continue from.
  bool continues() const { return continues_; }

  /// What a run is bound to, by the names that users know, taken from its config.
  using Binding = std::function<nlohmann::ordered_json(const nlohmann::ordered_json& config)>;
  /// Starts a run by making the folder and writing config.json; or checks that a continued one is bound to the same
  /// settings, naming the first that differs (UsageError), and takes over the recipe's length (`epochs` or `steps`),
  /// where that is not bound. Returns the config in force.
  nlohmann::ordered_json begin(const nlohmann::ordered_json& config, const Binding& binding);
  /// Cuts the logs to the first `step` steps and `epochs` epochs, and makes results.csv `results`.
  void rewind(int64_t step, int epochs, const std::string& results);

  /// From the next rewind on, everything logged goes to event files in `events` too (event_file.h).
  void show_in(const std::string& events) { events_folder_ = events; }
  void log_step(const nlohmann::ordered_json& line);
  /// A picture that the run wrote as PNG; "samples" is one of a kind.
  void log_picture(int64_t step, const std::string& kind, const std::string& png_file);
  void write_results(const std::string& csv);
  void log_timing(int epoch, double seconds, double images_per_second, double wait_share);

 private:
  RunFolder() = default;
  void append(const std::string& name, const std::string& line);
  void show_results(const std::string& csv);
  std::string dir_;
  bool resume_ = false, continues_ = false, kept_here_ = true;
  FolderLock lock_;
  std::string events_folder_;
  std::optional<EventFile> events_;
  size_t shown_rows_ = 0;  ///< of results.csv
};

}  // namespace telltale
