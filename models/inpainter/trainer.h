#pragma once
// The inpainter's training loop: steps, reports, checkpoints.
#include "models/inpainter/model.h"
#include "models/inpainter/validation.h"
#include "models/training/run.h"

namespace telltale {

/// Where a run stands; beside the nets' numbers, all that the next step depends on.
struct InpaintProgress : RunProgress {  // its steps are the generator's
  int64_t adversary_step = 0;           ///< discriminator steps done
  int64_t steps_in_sums = 0;
  std::vector<double> loss_sums = std::vector<double>(6);  ///< since the last report, in InpaintLosses' order
  double best_psnr = 0;  ///< highest of this phase: without, or with, the discriminator
  bool best_is_adversarial = false;
  int64_t kept_step = 0;  ///< whose average best.safetensors holds; 0: none
};

class InpaintTrainer final : public Run {
 public:
  /// Everything wrong with the settings or the files is thrown here, before the first step. Both must outlive it.
  InpaintTrainer(const InpaintSettings&, Stream&);
  /// Trains to the end. Throws Error after an interrupt (checkpoint saved; says how to continue) and when a loss is no
  /// longer finite (the last checkpoint stays).
  void run();

 private:
  nlohmann::ordered_json describe() const override;
  const char* task() const override { return "inpaint"; }
  nlohmann::ordered_json recipe_json() const override { return to_json(recipe_); }
  void bind(const nlohmann::ordered_json& config, nlohmann::ordered_json& settings) const override;
  std::string take_initial_weights() override;
  std::vector<CheckpointPart> parts() override;
  void check_config(const nlohmann::ordered_json&) const override;
  Metadata checkpoint_metadata() const override { return metadata("inpainter_checkpoint"); }
  nlohmann::json progress_json() const override;
  void take_progress(const nlohmann::json&) override;

  bool adversarial() const;
  double lr_share() const;
  void step();
  /// What rank 0 does.
  void report();
  void require_same_nets(const std::string& when) const;
  void keep_if_best(const PaintQuality&);
  void warn_of_collapse(const PaintQuality&, const std::vector<double>& losses) const;
  Metadata metadata(const char* kind) const;

  const InpaintSettings& settings_;
  InpaintRecipe recipe_;
  TaskPool pool_;
  PhotoSplit photos_;
  InpaintProgress progress_;
  std::unique_ptr<InpaintModel> model_;
  std::unique_ptr<InpaintValidation> validation_;
  std::unique_ptr<CropSource> crops_;
};

}  // namespace telltale
