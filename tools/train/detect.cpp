// train --task detect: a detector from a dataset folder.
#include <CLI/CLI.hpp>

#include "base/log.h"
#include "losses/loss_file.h"
#include "models/detector/study.h"
#include "models/detector/task.h"
#include "models/device.h"
#include "models/training/ranks.h"
#include "models/training/trainer.h"
#include "tools/train/report.h"
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

int train(DetectSettings& settings, const StudyOptions& study, const std::string& recipe_file, int accumulate,
          nlohmann::json overrides, const std::string& report) {
  TT_CHECK(report.empty() || !study.asked(), UsageError,
           "--report tells of one run; --compare and --sweep write a report of their own");
  const bool choose_batch = take_auto_batch(overrides);
  if (choose_batch) require_one_process(*settings.ranks, "--batch auto");
  if (settings.check) require_one_process(*settings.ranks, "--check");
  if (study.asked()) require_one_process(*settings.ranks, "a comparison");
  read_into(settings.recipe, recipe_file, overrides);
  check_report(report, settings, {recipe_file, settings.recipe.loss_file});
  if (accumulate > 0) {
    const int batch = settings.recipe.batch;
    TT_CHECK(batch % accumulate == 0, UsageError, "--accumulate ", accumulate, " does not divide the batch ", batch);
    settings.recipe.micro_batch = batch / accumulate;
  }
  check_recipe(settings.recipe);
  const Dataset dataset = settings.open_data();
  Stream stream = open_device(settings.common);
  if (settings.check) return check_training(DetectTask(settings.recipe), settings, stream, dataset);
  if (choose_batch) {
    settings.recipe.batch = fitting_batch(DetectTask(settings.recipe), settings, stream, dataset);
    spdlog::info("--batch auto: {} images a step", settings.recipe.batch);
  }
  if (study.asked()) return run_study(settings, study, stream, dataset);
  Trainer(DetectTask(settings.recipe), settings, stream, dataset).run();
  settings.ranks->lead([&] { write_training_page(report, settings.out); });
  return 0;
}

}  // namespace

int train_detector(int argc, char** argv) {
  DetectSettings settings;
  StudyOptions study;
  std::string recipe_file, task, report;
  int accumulate = 0;
  nlohmann::json overrides = nlohmann::json::object();
  const auto setup = [&](CLI::App& app) {
    app.option_defaults()->take_last();  // so that a script's flags can be overridden behind them
    app.add_option("--task", task, "detect (this), or locate, inpaint: see train --task inpaint --help");
    add_train_flags(app, settings);
    add_report_flag(app, report);
    app.add_option("--recipe", recipe_file, "JSON file of hyper-parameters; flags override it");
    app.add_option("--accumulate", accumulate, "micro-batches per step: sets --micro-batch")
        ->check(CLI::PositiveNumber);
    add_study_flags(app, study);
    add_flags(app, hyperparameters(settings.recipe), overrides);
    offer_auto_batch(app);
    describe_on_request(app);
  };
  return run_tool({"train", "Trains a detector of inpainted regions on a dataset folder."}, argc, argv, setup,
                  [&](const CommonOptions& common) {
                    settings.common = common;
                    return run_in_ranks(
                        settings, [&] { return train(settings, study, recipe_file, accumulate, overrides, report); });
                  });
}

}  // namespace telltale
