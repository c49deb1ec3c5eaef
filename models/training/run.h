#pragma once
// What every run of `train` does around its steps, whatever it trains: its folder, initial weights or the checkpoint to
// go on from, saving, stopping.
#include <chrono>
#include <memory>

#include "base/clock.h"
#include "base/progress.h"
#include "models/training/checkpoint.h"
#include "models/training/run_folder.h"
#include "models/training/settings.h"

namespace telltale {

/// Where any run stands; derived runs add theirs.
struct RunProgress {
  int64_t step = 0;     ///< optimiser steps done
  std::string results;  ///< results.csv so far: the table follows from the checkpoint, never leads it
};

/// One run, from its first step or from its last checkpoint. Same settings, same device: same bits, however often it
/// was interrupted.
class Run {
 public:
  virtual ~Run() = default;
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

 protected:
  using Clock = std::chrono::steady_clock;
  /// Throws UsageError when the run folder is not as RunFolder wants it. Settings, stream and progress must outlive it.
  Run(const RunSettings&, Stream&, RunProgress&);

  /// Takes initial weights or the checkpoint, writes or checks config.json, cuts the logs to where the run stands.
  /// To be called once, at the end of a constructor. `header`: results.csv's first line.
  void start_or_continue(const std::string& header);
  void checkpoint();
  /// Where --checkpoint-minutes have passed.
  void checkpoint_if_due();
  /// Saves and throws Error, saying how to continue, when an interrupt came to any rank: all stop at the same step.
  void stop_if_interrupted();
  Ranks& ranks() const { return *run_settings_.ranks; }

  // What runs differ in.
  /// config.json between "init" and "command".
  virtual nlohmann::ordered_json describe() const = 0;
  virtual const char* task() const = 0;
  virtual nlohmann::ordered_json recipe_json() const = 0;
  /// Adds to what a run is bound to (recipe, seed and initial weights are there), taking away what it is not.
  virtual void bind(const nlohmann::ordered_json& config, nlohmann::ordered_json& settings) const = 0;
  /// Fills the nets from settings.init unless that is "none"; returns the file's hash, or "".
  virtual std::string take_initial_weights() = 0;
  /// Called with the config in force before the checkpoint is read: what else a run goes on from must agree.
  virtual void check_config(const nlohmann::ordered_json&) const {}
  virtual std::vector<CheckpointPart> parts() = 0;
  virtual Metadata checkpoint_metadata() const = 0;
  virtual nlohmann::json progress_json() const = 0;
  virtual void take_progress(const nlohmann::json&) = 0;
  /// Finishes what was begun, so that progress is whole.
  virtual void settle() {}
  /// Epochs done, where there are any.
  virtual int epochs_done() const { return 0; }

  const RunSettings& run_settings_;
  Stream* stream_;
  RunFolder folder_;
  std::string init_sha256_;
  std::unique_ptr<Progress> bar_;
  Clock::time_point saved_ = Clock::now();

 private:
  nlohmann::ordered_json config() const;
  nlohmann::ordered_json binding(const nlohmann::ordered_json& config) const;
  void require_same_settings() const;
  /// What rank 0 does for a checkpoint.
  void save();
  [[noreturn]] void say_stopped() const;
  RunProgress& progress_;
};

/// Trained and all parameters of a net, running statistics apart.
struct ParameterCount {
  int64_t all = 0, trained = 0;
};
ParameterCount count_parameters(const Params&);

}  // namespace telltale
