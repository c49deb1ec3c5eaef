#pragma once
// The inpainter's training loop: steps, reports, checkpoints.
#include <chrono>
#include <memory>
#include <optional>

#include "base/progress.h"
#include "models/inpainter/model.h"
#include "models/inpainter/validation.h"
#include "models/training/run_folder.h"
#include "weights/safetensors.h"

namespace telltale {

/// Where a run stands; beside the nets' numbers, all that the next step depends on.
struct InpaintProgress {
  int64_t step = 0;            ///< generator steps done
  int64_t adversary_step = 0;  ///< discriminator steps done
  int64_t steps_in_sums = 0;
  std::vector<double> loss_sums = std::vector<double>(6);  ///< since the last report, in InpaintLosses' order
  std::optional<double> best_psnr;  ///< highest of this phase: without, or with, the discriminator
  bool best_is_adversarial = false;
  int64_t kept_step = 0;  ///< whose average best.safetensors holds
  std::string results;    ///< results.csv so far
};

/// One run, from its first step or from its last checkpoint. Same settings, same device: same bits, however often it
/// was interrupted.
class InpaintTrainer {
 public:
  /// Everything wrong with the settings or the files is thrown here, before the first step.
  InpaintTrainer(const InpaintSettings&, Stream&);
  /// Trains to the end. Throws Error after an interrupt (checkpoint saved; says how to continue) and when a loss is no
  /// longer finite (the last checkpoint stays).
  void run();

 private:
  using Clock = std::chrono::steady_clock;
  void start_or_continue();
  void take_initial_weights();
  nlohmann::ordered_json describe() const;
  bool adversarial() const;
  double lr_share() const;
  void step();
  void report();
  void keep_if_best(const PaintQuality&);
  void warn_of_collapse(const PaintQuality&, const std::vector<double>& losses) const;
  void checkpoint();
  void restore();
  void stop_if_interrupted();
  Metadata metadata(const char* kind) const;

  InpaintSettings settings_;
  InpaintRecipe& recipe_;
  Stream* stream_;
  TaskPool pool_;
  RunFolder folder_;
  PhotoSplit photos_;
  std::unique_ptr<InpaintModel> model_;
  std::unique_ptr<InpaintValidation> validation_;
  std::unique_ptr<CropSource> crops_;
  std::unique_ptr<Progress> bar_;
  std::string init_sha256_;
  InpaintProgress progress_;
  Clock::time_point saved_ = Clock::now();
};

}  // namespace telltale
