#pragma once
// The training loop over a dataset, whatever the task: epochs of optimiser steps, validation, checkpoints.
#include <array>
#include <map>
#include <optional>

#include "engine/capture.h"
#include "models/training/program.h"
#include "models/training/ranks.h"
#include "models/training/resident.h"
#include "models/training/run.h"

namespace telltale {

/// Where a training stands. All random choices are keyed by (seed, epoch, step), so that no generator's state is among
/// it.
struct TrainProgress : RunProgress {
  int epoch = 0;             ///< of the next step, from 0
  int batch = 0;             ///< of the next step, within the epoch; the number of batches when only validation is left
  int64_t samples = 0;       ///< seen in this epoch
  int64_t positives = 0;     ///< of those, fakes
  std::vector<double> sums;  ///< over this epoch, of each of the task's figures
  double best = 0;           ///< lowest Task::cost yet
  int best_epoch = 0;        ///< counted from 1, as in results.csv; 0: none
};

/// A task's run over a dataset folder.
class Trainer final : public Run {
 public:
  /// Builds the nets, loads initial weights or the checkpoint, writes or checks config.json. Everything wrong with the
  /// settings or the files is thrown here, before the first step. All must outlive it.
  Trainer(const Task&, const TrainSettings&, Stream&, const Dataset&);
  /// Trains to the end. Throws Error after an interrupt (checkpoint saved; says how to continue) and when the loss is
  /// no longer finite (the last checkpoint stays).
  void run();

 private:
  /// A step whose losses have not been read.
  struct Enqueued {
    int64_t step;
    int epoch, used, positives;
    size_t passes;  ///< of all ranks
  };
  /// The heads' places in a program.
  struct Places {
    std::vector<OwnedTensor> targets, terms;
    std::vector<Program::Head> heads;
  };

  void build_programs();
  /// Builds both programs for micro-batches of micro_batch_.
  void build_programs_of(Tensor resident);
  Places places_of(Program&, const PictureGraph&, const std::vector<Head>&) const;
  /// Makes room for the training images where the net runs, if it shall hold them.
  void keep_images_resident();
  void open_loader();

  nlohmann::ordered_json describe() const override;
  const char* task() const override { return task_.name(); }
  nlohmann::ordered_json recipe_json() const override { return task_.recipe_json(); }
  void bind(const nlohmann::ordered_json& config, nlohmann::ordered_json& settings) const override;
  std::string take_initial_weights() override;
  void check_config(const nlohmann::ordered_json&) const override;
  std::vector<CheckpointPart> parts() override { return {{"", program_.get()}}; }
  Metadata checkpoint_metadata() const override;
  nlohmann::json progress_json() const override;
  void take_progress(const nlohmann::json&) override;
  int epochs_done() const override { return progress_.epoch; }
  /// Reads the losses of the step that was enqueued last, if that was not done: checks, adds up and logs them.
  void settle() override;

  void train_epoch();
  /// Enqueues a step on the batch's first `used` samples, then settles the one before, while the device works on this.
  void step(const Batch& batch, int used);
  /// Whether this rank runs a pass of a step, numbered from 0.
  bool runs(int pass) const { return pass % ranks().size() == ranks().rank(); }
  void send(const Batch& batch, int first);
  void say_how_steps_run();
  /// A column of a head's terms, summed over the first `samples` samples, for each figure; added to `sums`.
  void add(const std::vector<Head>&, size_t head, const float* terms, int64_t rows, std::vector<double>& sums) const;
  /// The terms that a step's passes left, each pass's heads one behind the other, as its rank read them.
  std::vector<std::vector<float>> terms_of(const Enqueued& step);
  void log_step(const Enqueued& step, const std::vector<double>& sums, double seconds);
  void finish_epoch();
  struct Validation {
    std::vector<double> losses;  ///< figures that are losses, in order
    double loss = 0;             ///< their sum
    Findings findings;
  };
  /// Adds the epoch's row to the results, keeps the best: what rank 0 does at an epoch's end.
  void judge_epoch(const Validation&);
  /// Means of the figures, from sums over so many.
  std::vector<double> means(const std::vector<double>& sums, int64_t samples, int64_t positives, bool divided) const;
  /// Of the figures that are losses.
  double loss_of(const std::vector<double>& figures) const;
  /// By all ranks; what it comes to is rank 0's.
  Validation validate();
  void tell(const std::vector<double>& trained, const Validation&);
  void save_best(const Validation&);
  /// Of a batch, what a step takes.
  int used_of(int samples) const {
    if (settings_.sync_batchnorm) return samples == recipe_.batch ? samples : 0;
    return samples / micro_batch_ * micro_batch_;
  }
  int stored_size() const { return dataset_.info().size; }

  const Task& task_;
  const TrainSettings& settings_;
  const TrainingRecipe& recipe_;
  const Dataset& dataset_;
  std::vector<int> train_rows_, validation_rows_;
  TrainProgress progress_;
  int micro_batch_ = 0;
  std::vector<Head> heads_, validation_heads_;
  std::vector<Figure> figures_;             ///< of all heads
  std::optional<ResidentImages> resident_;  ///< before the programs that read it
  PictureGraph net_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<PictureNet> validation_;  ///< the same net for inference, fused
  Places places_, validation_places_;
  std::vector<OwnedTensor> gradients_;              ///< of validation_'s heads: thrown away
  std::map<std::pair<int, bool>, Capture> passes_;  ///< by RankedPasses::kind, and whether they accumulate
  Capture update_;
  Adam optimizer_;
  std::optional<RankedPasses> rounds_;
  std::optional<SyncedBatchNorm> synced_;
  std::optional<Uploader> pixels_upload_, flip_upload_;
  std::vector<Uploader> target_uploads_;
  std::array<std::vector<std::vector<Downloader>>, 2> readback_;  ///< of odd and even steps: terms of a pass's heads
  std::optional<Enqueued> enqueued_;
  std::unique_ptr<Loader> loader_;
  Schedule schedule_;
  bool said_how_steps_run_ = false;
  Clock::time_point settled_ = Clock::now();
};

}  // namespace telltale
