#pragma once
// The dataset folder while it is being made: what is finished, what to write, and what settings it was begun with.
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/folder_lock.h"
#include "models/synthesis/plan.h"

namespace telltale {

/// OUT with images/, masks/, synth.json (settings) and psnr.csv. While synth runs, psnr.csv is a journal: a line is
/// appended once an image is whole on disk, so whatever lacks its line is made again, and a run killed at any moment
/// can be continued. A shard keeps a journal of its own, psnr-I-of-N.csv, which the run that finishes the dataset
/// reads and removes. Shards may work in it side by side; a whole run suffers no other.
class DatasetFolder {
 public:
  /// Makes the folder, or continues one; claims it with `settings`. A whole run (no shard) removes the temporary files
  /// that killed runs left. DataError when it holds anything that synth did not make, or another synth is at work in
  /// it.
  DatasetFolder(const std::string& dir, const nlohmann::json& settings, std::optional<Shard> = std::nullopt);
  ~DatasetFolder();
  DatasetFolder(const DatasetFolder&) = delete;
  DatasetFolder& operator=(const DatasetFolder&) = delete;

  /// Adds settings to synth.json. DataError naming the first one that the folder was begun with otherwise.
  void claim(const nlohmann::json& settings);
  bool done(const Row&) const;
  std::string image_path(const std::string& id, const std::string& ending) const;
  std::string mask_path(const std::string& id) const;

  /// Notes that a row's files are whole. `psnr` in dB for a fake, empty for a real image. From any thread.
  void finished(const Row&, const std::string& psnr);
  /// Notes that a row's photograph cannot be used, and warns. From any thread.
  void skip(const Row&, const std::string& reason);
  /// Those that other ranks skipped, too, and warned of here.
  void join_skipped(const std::vector<Skipped>&);
  /// In row order once complete() has run.
  const std::vector<Skipped>& skipped() const { return skipped_; }
  /// Writes labels.csv, psnr.csv and, where images differ in it, treatment.csv in plan order, then dataset.json;
  /// removes the shards' journals; returns the rows that made it. For whole runs.
  std::vector<Row> complete(const Plan&, const SynthSettings&, const std::string& weights_sha256);

 private:
  void open_journal(std::optional<Shard>);
  void read_journals();
  std::vector<std::string> shard_journals() const;
  std::string dir_, ending_, journal_path_;
  FolderLock lock_;
  FILE* journal_ = nullptr;
  std::map<std::string, std::string> psnr_;  ///< by id, of finished rows
  std::vector<Skipped> skipped_;
  mutable std::mutex mutex_;
};

}  // namespace telltale
