#pragma once
// The training loop: epochs of optimiser steps, validation, checkpoints.
#include <array>
#include <chrono>
#include <memory>
#include <optional>

#include "base/progress.h"
#include "data/loader.h"
#include "engine/capture.h"
#include "models/detector/prediction.h"
#include "models/detector/settings.h"
#include "models/training/checkpoint.h"
#include "models/training/resident.h"
#include "models/training/run_folder.h"

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

  /// Sums of a loss tensor's columns.
  struct Sums {
    double classification = 0, box = 0, correct = 0, iou = 0;
    double loss() const { return classification + box; }
    /// Adds the first `samples` rows.
    void add(const float* terms, int samples);
  };

  /// A step whose losses have not been read.
  struct Enqueued {
    int64_t step;
    int epoch, used, positives;
    size_t passes;
  };

  void build_programs();
  /// Makes room for the training images where the net runs, if it shall hold them.
  void keep_images_resident(const Options&);
  void take_initial_weights();
  nlohmann::ordered_json describe() const;
  void start_or_continue();
  void train_epoch();
  /// Enqueues a step on the batch's first `used` samples, then settles the one before, while the device works on this.
  void step(const Batch& batch, int used);
  /// Reads the losses of the step that was enqueued last, if that was not done: checks, adds up and logs them.
  void settle();
  void say_how_steps_run();
  void log_step(const Enqueued& step, const Sums& sums, double seconds);
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
  std::optional<ResidentImages> resident_;  ///< before the programs that read it
  DetectorGraph net_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Detector> detector_;  ///< the same net for inference, fused
  std::unique_ptr<Loss> loss_;
  Capture first_pass_{*stream_}, later_pass_{*stream_}, update_{*stream_};
  Adam optimizer_;
  std::optional<Uploader> pixels_upload_, flip_upload_, target_upload_;
  std::array<std::vector<Downloader>, 2> readback_;  ///< of odd and even steps: losses, one for each pass
  std::optional<Enqueued> enqueued_;
  OwnedTensor target_, losses_, gradients_;  ///< gradients_: what validation throws away
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Progress> bar_;
  Schedule schedule_;
  RunProgress progress_;
  std::string init_sha256_;
  bool said_how_steps_run_ = false;
  Clock::time_point saved_ = Clock::now(), settled_ = Clock::now();
};

}  // namespace telltale
