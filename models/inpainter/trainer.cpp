#include "models/inpainter/trainer.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "base/log.h"
#include "engine/optimizer.h"
#include "models/training/recipe.h"
#include "weights/names.h"

namespace telltale {
namespace {

std::vector<double> in_order(const InpaintLosses& l) {
  return {l.coarse_l1, l.refined_l1, l.hole_l1, l.real_hinge, l.fake_hinge, l.judgement};
}

}  // namespace

bool InpaintTrainer::adversarial() const {
  return recipe_.adversarial_weight > 0 && progress_.step >= recipe_.warmup_l1_steps;
}

double InpaintTrainer::lr_share() const {
  return Schedule{schedule_of(recipe_.schedule), 1, 0, recipe_.steps}.at(progress_.step + 1);
}

void InpaintTrainer::run() {
  if (progress_.step >= recipe_.steps) {
    spdlog::info("all {} steps were done before", recipe_.steps);
    return;
  }
  crops_->start(progress_.step);
  bar_ = std::make_unique<Progress>("train", recipe_.steps, "steps", progress_.step);
  saved_ = Clock::now();
  while (progress_.step < recipe_.steps) {
    stop_if_interrupted();
    step();
    // Also where the discriminator joins, so that no report's means mix both phases.
    const bool joins = recipe_.adversarial_weight > 0 && progress_.step == recipe_.warmup_l1_steps;
    const bool due = progress_.step % recipe_.report_steps == 0 || progress_.step == recipe_.steps || joins;
    if (due) ranks().lead([this] { report(); });
    due ? checkpoint() : checkpoint_if_due();
  }
  clear_progress_line();
  spdlog::info("done; the moving average after step {} is in {}", progress_.kept_step, folder_.best());
}

void InpaintTrainer::step() {
  const Clock::time_point start = Clock::now();
  const PaintBatch batch = crops_->next();
  const double waited = seconds_since(start), share = lr_share();
  const bool judged = adversarial();
  const InpaintLosses l = model_->step(batch, progress_.step + 1, progress_.adversary_step + 1, share, judged);
  const std::vector<double> losses = in_order(l);
  for (double v :
       {l.coarse_l1, l.refined_l1, l.hole_l1, l.real_hinge, l.fake_hinge, l.judgement, l.perceptual, l.texture}) {
    TT_CHECK(std::isfinite(v), Error, "a loss is no longer finite at step ", progress_.step + 1,
             ": start anew with a lower --lr (now ", recipe_.lr, ") or a smaller --adversarial-weight (now ",
             recipe_.adversarial_weight, "); the last checkpoint stays");
  }
  ++progress_.step;
  progress_.adversary_step += judged;
  if (progress_.step % settings_.rank_check == 0) require_same_nets(cat("after step ", progress_.step));
  validation_->follow(model_->generator(), progress_.step, recipe_.ema_decay);
  for (size_t k = 0; k < losses.size(); ++k) progress_.loss_sums[k] += losses[k];
  ++progress_.steps_in_sums;
  const double seconds = seconds_since(start);
  folder_.log_step({{"step", progress_.step},
                    {"lr", recipe_.lr * share},
                    {"coarse_l1", l.coarse_l1},
                    {"refined_l1", l.refined_l1},
                    {"hole_l1", l.hole_l1},
                    {"real_hinge", l.real_hinge},
                    {"fake_hinge", l.fake_hinge},
                    {"judgement", l.judgement},
                    {"perceptual", l.perceptual},
                    {"texture", l.texture},
                    {"seconds", seconds},
                    {"waited", waited}});
  std::string note = fmt::format("l1 {:.4f} coarse, {:.4f} refined", l.coarse_l1, l.refined_l1);
  if (judged) note += fmt::format("  discriminator {:.3f}", l.discriminator());
  bar_->advance(1, note);
}

void InpaintTrainer::require_same_nets(const std::string& when) const {
  require_same_parameters(ranks(), model_->generator(), when);
  if (model_->discriminator())
    require_same_parameters(ranks(), *model_->discriminator(), "of the discriminator " + when);
}

void InpaintTrainer::report() {
  const PaintQuality q = validation_->evaluate();
  std::vector<double> losses = progress_.loss_sums;
  for (double& v : losses) v /= double(std::max<int64_t>(1, progress_.steps_in_sums));
  std::string row = cat(progress_.step);
  for (double v : losses) row += fmt::format(",{:.6g}", v);
  for (double v : {q.painted.psnr, q.painted.ssim, q.painted.l1, q.mean_fill_psnr, q.contrast}) {
    row += fmt::format(",{:.6g}", v);
  }
  progress_.results += row + "\n";
  progress_.loss_sums.assign(losses.size(), 0);
  progress_.steps_in_sums = 0;
  std::filesystem::create_directories(folder_.path("samples"));
  const std::string sheet = folder_.path(fmt::format("samples/step_{:07}.png", progress_.step));
  validation_->write_sheet(sheet, fmt::format("step {}, PSNR {:.2f} dB", progress_.step, q.painted.psnr));
  folder_.log_picture(progress_.step, "samples", sheet);
  clear_progress_line();
  spdlog::info("step {}: PSNR {:.2f} dB, SSIM {:.3f}, L1 {:.1f} in the hole; mean colour {:.2f} dB", progress_.step,
               q.painted.psnr, q.painted.ssim, q.painted.l1, q.mean_fill_psnr);
  warn_of_collapse(q, losses);
  keep_if_best(q);
}

void InpaintTrainer::keep_if_best(const PaintQuality& q) {
  const bool judged = progress_.adversary_step > 0;
  const bool first = progress_.kept_step == 0 || judged != progress_.best_is_adversarial;
  progress_.best_is_adversarial = judged;
  const double slack = judged || recipe_.texture_weight > 0 ? recipe_.keep_within_db : 0;
  if (!first && q.painted.psnr < progress_.best_psnr - slack) return;
  progress_.best_psnr = first ? q.painted.psnr : std::max(progress_.best_psnr, q.painted.psnr);
  progress_.kept_step = progress_.step;
  Metadata m = metadata("inpainter");
  m["validation_psnr"] = fmt::format("{:.4f}", q.painted.psnr);
  m["validation_ssim"] = fmt::format("{:.4f}", q.painted.ssim);
  write_safetensors(folder_.best(),
                    params_dict(*stream_, validation_->average().params(), ParamPart::value, "", FileDType::f16), m);
}

void InpaintTrainer::warn_of_collapse(const PaintQuality& q, const std::vector<double>& losses) const {
  const double discriminator = losses[3] + losses[4];
  if (progress_.adversary_step >= recipe_.report_steps && discriminator < 0.1) {
    spdlog::warn(
        "the discriminator has won: its loss was {:.3f} on average, so the generator learns little from it; lower "
        "--adversary-lr or --adversary-width, or raise --l1-weight",
        discriminator);
  }
  if (progress_.step < 2 * recipe_.report_steps) return;
  if (q.contrast < 0.1) {
    spdlog::warn(
        "the paint is flat: its contrast is {:.0f} % of the photographs'; lower --lr, or give the first steps to "
        "--warmup-l1-steps",
        100 * q.contrast);
  }
  if (q.painted.psnr < q.mean_fill_psnr) {
    spdlog::warn("the paint is further from the photographs than their mean colour is; if that lasts, lower --lr{}",
                 progress_.adversary_step > 0 ? " or --adversarial-weight" : "");
  }
}

}  // namespace telltale
