// What the inpainter's trainer does before its first step, and how it leaves and finds its place.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json_text.h"
#include "base/log.h"
#include "base/sha256.h"
#include "models/device.h"
#include "models/inpainter/trainer.h"
#include "models/training/checkpoint.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

constexpr const char* kResultsHeader =
    "step,coarse_l1,refined_l1,hole_l1,real_hinge,fake_hinge,judgement,val_psnr,val_ssim,val_l1,mean_fill_psnr,"
    "contrast\n";

ordered_json binding_settings(const ordered_json& config) {
  ordered_json settings = config.at("recipe");
  settings.erase("description");
  // A run from before there was a choice:
  if (!settings.contains("family")) settings["family"] = "csqiangwen";
  if (!settings.contains("perceptual_weight")) settings["perceptual_weight"] = 0.0;
  if (!settings.contains("perceptual_net")) settings["perceptual_net"] = "";
  if (config.at("recipe").at("schedule") == "constant") {
    settings.erase("steps");
    settings.erase("epochs");
  }
  settings["seed"] = config.at("seed");
  settings["init"] = config.at("init").at("path");
  settings["photographs"] = config.at("photographs").at("sha256");
  return settings;
}

ordered_json to_json(const InpaintProgress& p) {
  return {{"step", p.step},
          {"adversary_step", p.adversary_step},
          {"steps_in_sums", p.steps_in_sums},
          {"loss_sums", p.loss_sums},
          {"best_psnr", p.best_psnr ? ordered_json(*p.best_psnr) : ordered_json()},
          {"best_is_adversarial", p.best_is_adversarial},
          {"kept_step", p.kept_step},
          {"results", p.results}};
}

InpaintProgress from_json(const nlohmann::json& j) {
  InpaintProgress p;
  j.at("step").get_to(p.step);
  j.at("adversary_step").get_to(p.adversary_step);
  j.at("steps_in_sums").get_to(p.steps_in_sums);
  j.at("loss_sums").get_to(p.loss_sums);
  if (!j.at("best_psnr").is_null()) p.best_psnr = j.at("best_psnr").get<double>();
  j.at("best_is_adversarial").get_to(p.best_is_adversarial);
  j.at("kept_step").get_to(p.kept_step);
  j.at("results").get_to(p.results);
  return p;
}

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
    : settings_(settings),
      recipe_(settings_.recipe),
      stream_(&stream),
      pool_(threads(settings.workers)),
      folder_(settings.out, settings.resume),
      photos_(split_photos(photographs(settings), recipe_.validation_photos, settings.common.seed, pool_)) {
  const uint64_t seed = settings_.common.seed;
  if (recipe_.epochs > 0) {
    const double steps = recipe_.epochs * double(photos_.train.size()) / recipe_.batch;
    recipe_.steps = int(std::clamp(std::ceil(steps), 1.0, 1e9));
  }
  const CropSettings crops{.size = recipe_.size,
                           .batch = recipe_.batch,
                           .min_crop = recipe_.min_crop,
                           .flip = recipe_.augment == "flip",
                           .law = mask_law(recipe_.mask_law),
                           .area = {recipe_.mask_area_min, recipe_.mask_area_max},
                           .seed = seed,
                           .black = generator_net(recipe_.family).black};
  model_ = std::make_unique<InpaintModel>(stream, recipe_, seed);
  validation_ = std::make_unique<InpaintValidation>(stream, recipe_, photos_.validation, seed);
  crops_ = std::make_unique<CropSource>(photos_.train, crops, pool_);
  start_or_continue();
}

void InpaintTrainer::take_initial_weights() {
  if (settings_.init != "none") {
    const WeightsFile file = WeightsFile::open(settings_.init);
    init_sha256_ = sha256_file(settings_.init);
    try {
      load_params(*stream_, model_->generator().params(), file.state_dict());
    } catch (const DataError& e) {
      throw DataError(
          cat(settings_.init, ": not a generator of ", recipe_.family, ", width ", recipe_.width, ": ", e.what()));
    }
    model_->generator().params_changed();
  }
  validation_->copy_from(model_->generator());
}

ordered_json InpaintTrainer::describe() const {
  ordered_json j;
  j["task"] = "inpaint";
  j["recipe"] = to_json(recipe_);
  j["seed"] = settings_.common.seed;
  j["init"] = {{"path", settings_.init}, {"sha256", init_sha256_}};
  j["photographs"] = {{"path", settings_.photos},
                      {"sha256", photos_.digest},
                      {"train", photos_.train.size()},
                      {"validation", photos_.validation.size()}};
  int64_t parameters = 0;
  for (const Param& p : model_->generator().params().all()) parameters += p.spec.shape.numel();
  j["parameters"] = parameters;
  j["command"] = settings_.common.command;
  j["device"] = stream_->description();
  j["machine"] = machine_description();
  return j;
}

void InpaintTrainer::start_or_continue() {
  if (!folder_.continues()) take_initial_weights();
  const ordered_json config = folder_.begin(describe(), binding_settings);
  if (folder_.continues()) {
    init_sha256_ = config.at("init").at("sha256").get<std::string>();
    if (config.at("device") != stream_->description()) {
      spdlog::warn("this run began on {}: on another device it goes on, but not bit for bit",
                   config.at("device").get<std::string>());
    }
    restore();
    spdlog::info("continuing after step {}", progress_.step);
  } else {
    progress_.results = kResultsHeader;
    spdlog::info("{} photographs to train on, {} held out; {:.0f} MB", photos_.train.size(), photos_.validation.size(),
                 double(model_->bytes()) / 1e6);
  }
  folder_.rewind(progress_.step, 0, progress_.results);
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

void InpaintTrainer::checkpoint() {
  StateDict dict = training_state(model_->generator());
  if (model_->discriminator()) append(dict, training_state(*model_->discriminator(), kDiscriminator));
  append(dict, params_dict(*stream_, validation_->average().params(), ParamPart::value, kAverage));
  Metadata m = metadata("inpainter_checkpoint");
  m["progress"] = to_json(progress_).dump();
  write_safetensors(folder_.checkpoint(), dict, m);
  folder_.write_results(progress_.results);
  saved_ = Clock::now();
}

void InpaintTrainer::restore() {
  const std::string path = folder_.checkpoint();
  try {
    const Safetensors file = Safetensors::open(path);
    const auto text = file.metadata().find("progress");
    TT_CHECK(text != file.metadata().end(), DataError, "not a checkpoint of train: no \"progress\" in it");
    progress_ = from_json(nlohmann::json::parse(text->second));
    const StateDict dict = file.state_dict();
    restore_training_state(dict, model_->generator());
    if (model_->discriminator()) restore_training_state(dict, *model_->discriminator(), kDiscriminator);
    load_params(*stream_, validation_->average().params(), under_prefix(dict, kAverage));
    validation_->average().params_changed();
  } catch (const nlohmann::json::exception& e) {
    throw DataError(cat(path, ": its \"progress\" is broken: ", e.what()));
  } catch (const DataError& e) {
    throw DataError(cat(path, ": ", e.what()));
  }
}

}  // namespace telltale
