// train --task inpaint: a generator that paints holes, from a folder of photographs.
#include <CLI/CLI.hpp>

#include "base/outputs.h"
#include "models/device.h"
#include "models/inpainter/trainer.h"
#include "models/training/ranks.h"
#include "tools/train/report.h"
#include "tools/train/tasks.h"

namespace telltale {
namespace {

int train(InpaintSettings& settings, const std::string& recipe_file, const nlohmann::json& overrides,
          const std::string& report) {
  const auto table = hyperparameters(settings.recipe);
  if (!recipe_file.empty()) apply(table, read_recipe(recipe_file), recipe_file);
  apply(table, overrides, "command line");
  check_recipe(settings.recipe);
  std::vector<std::string> inputs;
  if (!settings.recipe.perceptual_net.empty()) inputs.push_back(settings.recipe.perceptual_net);
  check_report(report, settings, std::move(inputs));
  TT_CHECK(report.empty() || !lies_in(report, settings.photos), UsageError, "--report ", report,
           ": lies among the photographs of ", settings.photos, "; name another place");
  Stream stream = open_device(settings.common);
  InpaintTrainer(settings, stream).run();
  settings.ranks->lead([&] { write_training_page(report, settings.out); });
  return 0;
}

}  // namespace

int train_inpainter(int argc, char** argv) {
  InpaintSettings settings;
  std::string recipe_file, task, report;
  nlohmann::json overrides = nlohmann::json::object();
  const auto setup = [&](CLI::App& app) {
    app.option_defaults()->take_last();
    app.add_option("--task", task, "inpaint (this), or detect: see train --help");
    app.add_option("--photos", settings.photos, "folder of photographs (JPEG, PNG, WebP …), subfolders included")
        ->required();
    add_run_flags(app, settings);
    add_report_flag(app, report);
    app.add_option("--recipe", recipe_file, "JSON file of hyper-parameters; flags override it");
    add_flags(app, hyperparameters(settings.recipe), overrides);
  };
  return run_tool({"train", "Trains the generator that paints holes, on a folder of photographs."}, argc, argv, setup,
                  [&](const CommonOptions& common) {
                    settings.common = common;
                    return run_in_ranks(settings, [&] { return train(settings, recipe_file, overrides, report); });
                  });
}

}  // namespace telltale
