#pragma once
// The training loop: epochs of optimiser steps, validation, checkpoints.
#include <chrono>
#include <memory>

#include "data/loader.h"
#include "tools/common/checkpoint.h"
#include "tools/common/prediction.h"
#include "tools/common/progress.h"
#include "tools/train/run_folder.h"
#include "tools/train/settings.h"

namespace telltale {

/// One run, from its first step or from its last checkpoint. Same settings, same device: same bits, however often it
/// was interrupted.
class Trainer {
 public:
  /// Builds the nets, loads initial weights or the checkpoint, writes or checks config.json. Everything wrong with the
  /// settings or the files is thrown here, before the first step.
  Trainer(const TrainSettings&, Stream&, const Dataset&);
  /// Trains to the end. Throws Error after an interrupt (checkpoint saved; says how to continue) and when the loss is
  /// no longer finite (the last checkpoint stays).
  void run();

 private:
  using Clock = std::chrono::steady_clock;
  /// What an epoch's validation found.
  struct Validation {
    double classification = 0, box = 0;
    Evaluation metrics;
    double loss() const { return classification + box; }
  };

  void build_programs();
  void take_initial_weights();
  nlohmann::ordered_json describe() const;
  void start_or_continue();
  void train_epoch();
  /// The step's losses: classification and box, each a mean over the batch.
  std::array<double, 2> step(const Batch& batch, int used);
  void log_step(const std::array<double, 2>& losses, double seconds, int used);
  void finish_epoch();
  Validation validate();
  void save_best(const Validation&);
  void checkpoint();
  void checkpoint_if_due();
  void stop_if_interrupted();
  int used_of(int samples) const { return samples / micro_batch_ * micro_batch_; }
  double learning_rate() const { return schedule_.at(progress_.step + 1); }

  TrainSettings settings_;
  const Recipe& recipe_;
  Stream* stream_;
  const Dataset* dataset_;
  std::vector<int> train_rows_, validation_rows_;
  RunFolder folder_;
  DetectorInfo info_;
  nlohmann::ordered_json config_;
  int micro_batch_ = 0;
  DetectorGraph net_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Detector> detector_;  ///< the same net for inference, fused
  std::unique_ptr<Loss> loss_;
  OwnedTensor target_, losses_, slopes_;  ///< slopes_: what validation throws away
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Progress> bar_;
  Schedule schedule_;
  RunProgress progress_;
  std::string init_sha256_;
  Clock::time_point saved_ = Clock::now();
};

}  // namespace telltale
