// train --task detect: a detector from a dataset folder.
#include <CLI/CLI.hpp>

#include "base/log.h"
#include "losses/loss_file.h"
#include "models/detector/check.h"
#include "models/detector/study.h"
#include "models/detector/trainer.h"
#include "models/device.h"
#include "tools/train/tasks.h"

namespace telltale {
namespace {

/// `--loss help` prints them all, that of --loss-file among them, and needs nothing else.
void describe_on_request(CLI::App& app) {
  app.get_option("--loss")->each([&app](const std::string& name) {
    if (name != "help") return;
    const CLI::Option* file = app.get_option("--loss-file");
    if (file->count() > 0) load_loss_file(file->results().back());
    throw CLI::CallForVersion(describe_losses(), int(CLI::ExitCodes::Success));  // its text is all that is printed
  });
}

constexpr int kAutoBatch = -1;  // what --batch auto becomes: no batch that a user could mean

int train(TrainSettings& settings, const StudyOptions& study, const std::string& recipe_file, int accumulate,
          nlohmann::json overrides) {
  const bool choose_batch = overrides.value("batch", 1) == kAutoBatch;
  if (choose_batch) overrides.erase("batch");
  read_into(settings.recipe, recipe_file, overrides);
  if (accumulate > 0) {
    const int batch = settings.recipe.batch;
    TT_CHECK(batch % accumulate == 0, UsageError, "--accumulate ", accumulate, " does not divide the batch ", batch);
    settings.recipe.micro_batch = batch / accumulate;
  }
  check_recipe(settings.recipe);
  const Dataset dataset = Dataset::open(settings.data);
  Stream stream = open_device(settings.common);
  if (settings.check) return check_training(settings, stream, dataset);
  if (choose_batch) {
    settings.recipe.batch = fitting_batch(settings, stream, dataset);
    spdlog::info("--batch auto: {} images a step", settings.recipe.batch);
  }
  if (study.asked()) return run_study(settings, study, stream, dataset);
  Trainer(settings, stream, dataset).run();
  return 0;
}

}  // namespace

int train_detector(int argc, char** argv) {
  TrainSettings settings;
  StudyOptions study;
  std::string recipe_file, task;
  int accumulate = 0;
  nlohmann::json overrides = nlohmann::json::object();
  const auto setup = [&](CLI::App& app) {
    app.option_defaults()->take_last();  // so that a script's flags can be overridden behind them
    app.add_option("--task", task, "detect (this), or inpaint: see train --task inpaint --help");
    app.add_option("--data", settings.data, "dataset folder")->required();
    app.add_option("--out", settings.out, "run folder: empty, or with --resume a run's")->required();
    app.add_option("--recipe", recipe_file, "JSON file of hyper-parameters; flags override it");
    app.add_option("--init", settings.init, "weights to start from (safetensors, torchvision's names), or none")
        ->capture_default_str();
    app.add_flag("--resume", settings.resume, "continue from the run folder's last checkpoint");
    app.add_flag("--check", settings.check,
                 "train nothing: run one step on this device and on another, and name the first node that differs");
    app.add_option("--checkpoint-minutes", settings.checkpoint_minutes,
                   "save that often besides after every epoch; 0: after every step")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    app.add_option("--accumulate", accumulate, "micro-batches per step: sets --micro-batch")
        ->check(CLI::PositiveNumber);
    app.add_option("--workers", settings.workers, "decoding threads; 0: one per core")->check(CLI::Range(0, 1024));
    app.add_option("--cache-mb", settings.cache_mb, "memory for decoded images")->check(CLI::Range(0, 1 << 24));
    app.add_flag("!--no-chains", settings.chains,
                 "in f16 on a GPU: keep batch norms out of the convolutions around them");
    app.add_option("--resident", settings.resident,
                   "keep the decoded training images on the device: auto (on a GPU, where they fit), on or off; the "
                   "results are the same")
        ->check(CLI::IsMember({"auto", "on", "off"}))
        ->capture_default_str();
    add_study_flags(app, study);
    add_flags(app, hyperparameters(settings.recipe), overrides);
    app.get_option("--batch")->transform(
        CLI::Transformer(std::map<std::string, std::string>{{"auto", std::to_string(kAutoBatch)}})
            .description("or auto: what fits the memory"));
    describe_on_request(app);
  };
  return run_tool({"train", "Trains a detector of inpainted regions on a dataset folder."}, argc, argv, setup,
                  [&](const CommonOptions& common) {
                    settings.common = common;
                    return train(settings, study, recipe_file, accumulate, overrides);
                  });
}

}  // namespace telltale
