// train: a detector from a dataset folder.
#include <nlohmann/json.hpp>

#include "tools/common/device.h"
#include "tools/common/log.h"
#include "tools/train/check.h"
#include "tools/train/trainer.h"

namespace telltale {
namespace {

/// "--freeze-backbone" for freeze_backbone.
std::string flag_of(const char* name) {
  std::string flag = cat("--", name);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

/// Offers a hyper-parameter as a flag; what is given lands in `overrides` under its recipe name.
struct AddFlag {
  CLI::App& app;
  nlohmann::json& overrides;
  const RecipeField& field;

  std::string help() const {
    std::string text = field.help, choices;
    for (const std::string& c : field.choices) choices += (choices.empty() ? ": " : ", ") + c;
    return text + choices;
  }
  template <class T>
  void option() const {
    app.add_option_function<T>(
           flag_of(field.name), [this_name = field.name, &to = overrides](const T& v) { to[this_name] = v; }, help())
        ->group("Hyper-parameters");
  }
  void operator()(std::string Recipe::*) const { option<std::string>(); }
  void operator()(double Recipe::*) const { option<double>(); }
  void operator()(int Recipe::*) const { option<int>(); }
  void operator()(bool Recipe::*) const {
    app.add_flag_callback(
           flag_of(field.name), [name = field.name, &to = overrides] { to[name] = true; }, help())
        ->group("Hyper-parameters");
  }
  void operator()(LossSettings Recipe::*) const {
    const auto add = [name = field.name, &to = overrides](const std::vector<std::string>& pairs) {
      for (const std::string& pair : pairs) {
        const size_t at = pair.find('=');
        const nlohmann::json number =
            at == std::string::npos ? nlohmann::json() : nlohmann::json::parse(pair.substr(at + 1), nullptr, false);
        TT_CHECK(number.is_number(), UsageError, flag_of(name), " ", pair, ": expected NAME=NUMBER");
        to[name][pair.substr(0, at)] = number;
      }
    };
    app.add_option_function<std::vector<std::string>>(flag_of(field.name), add, help() + ": NAME=NUMBER …")
        ->take_all()
        ->group("Hyper-parameters");
  }
};

int train(TrainSettings& settings, const std::string& recipe_file, int accumulate, nlohmann::json overrides) {
  if (!recipe_file.empty()) apply_recipe(settings.recipe, read_recipe(recipe_file), recipe_file);
  const bool choose_batch = overrides.value("batch", -1) == 0;  // "auto"
  if (choose_batch) overrides.erase("batch");
  apply_recipe(settings.recipe, overrides, "command line");
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
  Trainer(settings, stream, dataset).run();
  return 0;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  TrainSettings settings;
  std::string recipe_file;
  int accumulate = 0;
  nlohmann::json overrides = nlohmann::json::object();
  const auto setup = [&](CLI::App& app) {
    app.option_defaults()->take_last();  // so that a script's flags can be overridden behind them
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
    for (const RecipeField& field : recipe_fields()) std::visit(AddFlag{app, overrides, field}, field.member);
    app.get_option("--batch")->transform(
        CLI::Transformer(std::map<std::string, std::string>{{"auto", "0"}}).description("or auto: what fits the memory"));
  };
  return run_tool({"train", "Trains a detector of inpainted regions on a dataset folder."}, argc, argv, setup,
                  [&](const CommonOptions& common) {
                    settings.common = common;
                    return train(settings, recipe_file, accumulate, overrides);
                  });
}
