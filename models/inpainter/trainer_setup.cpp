// What the inpainter's trainer does before its first step, and how it leaves and finds its place.
#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "base/json_text.h"
#include "base/log.h"
#include "models/inpainter/trainer.h"
#include "models/training/program.h"

namespace telltale {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(InpaintProgress, step, results, adversary_step, steps_in_sums, loss_sums, best_psnr,
                                   best_is_adversarial, kept_step)

namespace {

using nlohmann::ordered_json;

constexpr const char* kResultsHeader =
    "step,coarse_l1,refined_l1,hole_l1,real_hinge,fake_hinge,judgement,val_psnr,val_ssim,val_l1,mean_fill_psnr,"
    "contrast\n";

std::vector<Photo> photographs(const InpaintSettings& s) {
  Remarks remarks;
  std::vector<Photo> photos = list_photos(s.photos, {s.out}, &remarks);
  for (const std::string& line : remarks) spdlog::warn("{}", line);
  if (s.recipe.limit > 0 && size_t(s.recipe.limit) < photos.size()) photos.resize(size_t(s.recipe.limit));
  return photos;
}

int threads(int wanted) { return wanted > 0 ? wanted : int(std::max(1u, std::thread::hardware_concurrency())); }

constexpr const char* kDiscriminator = "discriminator.";
constexpr const char* kAverage = "average.";

}  // namespace

InpaintTrainer::InpaintTrainer(const InpaintSettings& settings, Stream& stream)
    : Run(settings, stream, progress_),
      settings_(settings),
      recipe_(settings.recipe),
      pool_(threads(settings.workers)),
      photos_(
          split_photos(photographs(settings), recipe_.validation_photos, recipe_.size, settings.common.seed, pool_)) {
  const uint64_t seed = settings_.common.seed;
  if (recipe_.epochs > 0) {
    const double steps = recipe_.epochs * double(photos_.train.size()) / recipe_.batch;
    recipe_.steps = int(std::clamp(std::ceil(steps), 1.0, 1e9));
  }
  const int together = ranks().size(), images = recipe_.batch;
  require_own_gpu(ranks(), stream);
  if (recipe_.micro_batch == 0) {
    recipe_.micro_batch = images / std::min(images, together);
    while (images % recipe_.micro_batch != 0) --recipe_.micro_batch;
  }
  TT_CHECK(images / recipe_.micro_batch >= together, UsageError, "a step of ", images, " images in passes of ",
           recipe_.micro_batch, " is no work for ", together,
           " processes: give a larger --batch, or a smaller --micro-batch");
  CropSettings crops{.size = recipe_.size,
                     .batch = recipe_.batch,
                     .min_crop = recipe_.min_crop,
                     .max_crop = recipe_.max_crop,
                     .flip = recipe_.augment == "flip",
                     .law = mask_law(recipe_.mask_law),
                     .area = {recipe_.mask_area_min, recipe_.mask_area_max},
                     .seed = seed,
                     .black = generator_net(recipe_.family).black};
  if (!ranks().alone())
    crops.mine = [micro = recipe_.micro_batch, this](int at) { return at / micro % ranks().size() == ranks().rank(); };
  model_ = std::make_unique<InpaintModel>(stream, recipe_, seed, ranks(), settings.exchange);
  validation_ = std::make_unique<InpaintValidation>(stream, recipe_, std::move(photos_.validation), seed);
  crops_ = std::make_unique<CropSource>(photos_.train, crops, pool_);
  start_or_continue(kResultsHeader);
  require_same_nets("before the first step");
  spdlog::info("{} photographs to train on, {} held out; {:.0f} MB", photos_.train.size(), validation_->count(),
               double(model_->bytes()) / 1e6);
}

std::string InpaintTrainer::take_initial_weights() {
  std::string hash;
  if (settings_.init != "none") {
    const std::string net = cat("a generator of ", recipe_.family, ", width ", recipe_.width);
    hash = load_initial_weights(settings_.init, model_->generator(), net);
  }
  validation_->copy_from(model_->generator());
  return hash;
}

ordered_json InpaintTrainer::describe() const {
  ordered_json j;
  j["photographs"] = {{"path", settings_.photos},
                      {"sha256", photos_.digest},
                      {"train", photos_.train.size()},
                      {"validation", validation_->count()}};
  j["micro_batch"] = recipe_.micro_batch;
  j["parameters"] = count_parameters(model_->generator().params()).all;
  return j;
}

void InpaintTrainer::bind(const ordered_json& config, ordered_json& settings) const {
  // A run from before there was a choice:
  const ordered_json then = {{"family", "csqiangwen"}, {"perceptual_weight", 0.0}, {"perceptual_net", ""}};
  for (const auto& [name, value] : then.items())
    if (!settings.contains(name)) settings[name] = value;
  settings.erase("micro_batch");     // as chosen: check_config
  settings.erase("keep_within_db");  // may change: no step depends on it
  settings["photographs"] = config.at("photographs").at("sha256");
}

void InpaintTrainer::check_config(const ordered_json& config) const {
  const int before = config.value("micro_batch", recipe_.batch);
  TT_CHECK(before == recipe_.micro_batch, UsageError, folder_.path("config.json"),
           ": this run began with micro-batches of ", before, ", not ", recipe_.micro_batch, ": give --micro-batch ",
           before);
}

Metadata InpaintTrainer::metadata(const char* kind) const {
  return {{"format", "pt"},
          {"kind", kind},
          {"family", recipe_.family},
          {"width", cat(recipe_.width)},
          {"step", cat(progress_.step)},
          {"recipe", json_text(to_json(recipe_))},
          {"seed", cat(settings_.common.seed)},
          {"photographs", photos_.digest},
          {"init_sha256", init_sha256_}};
}

std::vector<CheckpointPart> InpaintTrainer::parts() {
  std::vector<CheckpointPart> parts = {{"", &model_->generator()}};
  if (model_->discriminator()) parts.push_back({kDiscriminator, model_->discriminator()});
  parts.push_back({kAverage, &validation_->average(), /*trains=*/false});
  return parts;
}

nlohmann::json InpaintTrainer::progress_json() const { return progress_; }
void InpaintTrainer::take_progress(const nlohmann::json& j) { j.get_to(progress_); }

}  // namespace telltale
