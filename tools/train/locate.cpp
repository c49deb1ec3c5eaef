// train --task locate: a net that says of every pixel whether it was painted, from a dataset folder.
#include <CLI/CLI.hpp>

#include "base/log.h"
#include "losses/pixels.h"
#include "models/device.h"
#include "models/locator/task.h"
#include "models/training/ranks.h"
#include "models/training/trainer.h"
#include "tools/train/report.h"
#include "tools/train/tasks.h"

namespace telltale {
namespace {

struct LocateSettings : TrainSettings {
  LocateRecipe recipe;
};

int train(LocateSettings& settings, const std::string& recipe_file, nlohmann::json overrides,
          const std::string& report) {
  check_report(report, settings, {recipe_file});
  const bool choose_batch = take_auto_batch(overrides);
  if (choose_batch) require_one_process(*settings.ranks, "--batch auto");
  if (settings.check) require_one_process(*settings.ranks, "--check");
  const auto table = hyperparameters(settings.recipe);
  if (!recipe_file.empty()) apply(table, read_recipe(recipe_file), recipe_file);
  apply(table, overrides, "command line");
  check_recipe(settings.recipe);
  const Dataset dataset = settings.open_data();
  Stream stream = open_device(settings.common);
  if (settings.check) return check_training(LocateTask(settings.recipe), settings, stream, dataset);
  if (choose_batch) {
    settings.recipe.batch = fitting_batch(LocateTask(settings.recipe), settings, stream, dataset);
    spdlog::info("--batch auto: {} images a step", settings.recipe.batch);
  }
  Trainer(LocateTask(settings.recipe), settings, stream, dataset).run();
  settings.ranks->lead([&] { write_training_page(report, settings.out); });
  return 0;
}

}  // namespace

int train_locator(int argc, char** argv) {
  LocateSettings settings;
  std::string recipe_file, task, report;
  nlohmann::json overrides = nlohmann::json::object();
  const auto setup = [&](CLI::App& app) {
    app.option_defaults()->take_last();
    app.add_option("--task", task, "locate (this), or detect, inpaint: see train --task detect --help");
    app.add_option("--recipe", recipe_file, "JSON file of hyper-parameters; flags override it");
    add_train_flags(app, settings);
    add_report_flag(app, report);
    add_flags(app, hyperparameters(settings.recipe), overrides);
    offer_auto_batch(app);
    app.get_option("--loss")->each(
        [](const std::string& name) {  // `--loss help` prints them all, and needs nothing else
          if (name == "help") throw CLI::CallForVersion(describe_pixel_losses(), int(CLI::ExitCodes::Success));
        });
  };
  return run_tool({"train", "Trains a net that says of every pixel whether it was painted, on a dataset folder."}, argc,
                  argv, setup, [&](const CommonOptions& common) {
                    settings.common = common;
                    return run_in_ranks(settings, [&] { return train(settings, recipe_file, overrides, report); });
                  });
}

}  // namespace telltale
