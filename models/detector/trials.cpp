#include "models/detector/trials.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/choice.h"
#include "losses/audit.h"

namespace telltale {
namespace {

/// A loss by another name, at its defaults.
void take_loss(Recipe& recipe, const std::string& name) {
  if (name != recipe.loss) recipe.loss_file.clear();
  recipe.loss_settings.clear();
  recipe.loss = loss_info(name).name;
}

/// A hyper-parameter, a setting of the box loss, "class_loss_set.NAME", or the seed.
void assign(DetectSettings& to, std::string name, const nlohmann::json& value, const std::string& where) {
  Recipe& r = to.recipe;
  std::replace(name.begin(), name.end(), '-', '_');
  const std::string of_class = "class_loss_set.";
  const std::vector<Hyperparameter> table = hyperparameters(r);
  const auto number = [&] {
    TT_CHECK(value.is_number(), UsageError, where, ": ", name, " is ", value.dump(), ", expected a number");
    return value.get<double>();
  };
  if (name == "seed") {
    TT_CHECK(value.is_number_unsigned(), UsageError, where, ": seed is ", value.dump(), ", expected a whole number");
    to.common.seed = value.get<uint64_t>();
  } else if (name == "loss" && value.is_string()) {
    take_loss(r, value.get<std::string>());
  } else if (name.starts_with(of_class)) {
    r.class_settings[name.substr(of_class.size())] = number();
  } else if (std::any_of(table.begin(), table.end(), [&](const Hyperparameter& f) { return name == f.name; })) {
    apply(table, {{name, value}}, where);
  } else if (default_settings(r.loss).count(name)) {
    r.loss_settings[name] = number();
  } else {
    std::vector<std::string> known = {"seed"};
    for (const Hyperparameter& f : table) known.push_back(f.name);
    for (const auto& [setting, unused] : default_settings(r.loss)) known.push_back(setting);
    throw UsageError(cat(where, ": there is no \"", name, "\" with the loss ", r.loss, "; known are ", joined(known)));
  }
}

Trial named(const DetectSettings& base, const std::string& name) {
  Trial trial{name, {}, base};
  trial.settings.out = base.out + "/" + name;
  return trial;
}

std::vector<Trial> compared(const DetectSettings& base, const std::vector<std::string>& losses) {
  std::vector<Trial> trials = {named(base, base.recipe.loss)};
  for (const std::string& text : losses) {
    const Choice choice = parse_choice(text, "--compare");
    Trial trial = named(base, text);
    take_loss(trial.settings.recipe, choice.name);
    for (const auto& [name, value] : choice.values) assign(trial.settings, name, value, "--compare " + text);
    trials.push_back(trial);
  }
  for (Trial& t : trials) t.varied = {{"loss", t.name}};
  return trials;
}

std::vector<Trial> swept(const DetectSettings& base, std::vector<std::string> axes) {
  // The loss before what may be a setting of it.
  std::stable_sort(axes.begin(), axes.end(), [](const std::string& a, const std::string& b) {
    return a.starts_with("loss=") > b.starts_with("loss=");
  });
  std::vector<Trial> trials = {named(base, "")};
  for (const std::string& axis : axes) {
    const size_t at = axis.find('=');
    TT_CHECK(at != std::string::npos && at > 0 && at + 1 < axis.size(), UsageError, "--sweep ", axis,
             ": expected NAME=VALUE,VALUE,…");
    const std::string name = axis.substr(0, at);
    std::vector<Trial> more;
    for (const Trial& t : trials) {
      for (const std::string& value : split(axis.substr(at + 1), ',')) {
        Trial next = named(base, cat(t.name, t.name.empty() ? "" : ",", name, "=", value));
        next.settings.recipe = t.settings.recipe;
        next.settings.common = t.settings.common;
        next.varied = t.varied;
        next.varied.emplace_back(name, value);
        assign(next.settings, name, parse_value(value), "--sweep " + axis);
        more.push_back(next);
      }
    }
    trials = more;
  }
  return trials;
}

}  // namespace

void add_study_flags(CLI::App& app, StudyOptions& o) {
  const char* group = "Studies";
  app.add_option("--compare", o.compare,
                 "train with these losses too, and test the difference: NAME or NAME:SETTING=VALUE,…")
      ->delimiter(',')
      ->take_all()
      ->group(group);
  app.add_option("--sweep", o.sweep,
                 "train once for each value, validate: NAME=VALUE,VALUE,… of a hyper-parameter, the loss's settings or "
                 "seed; several: every combination")
      ->take_all()
      ->group(group);
  app.add_option("--by", o.by, "what a sweep is ordered by")
      ->check(CLI::IsMember({"mean_iou", "f1", "auc"}))
      ->capture_default_str()
      ->group(group);
}

std::vector<Trial> trials_of(const DetectSettings& base, const StudyOptions& o) {
  TT_CHECK(
      o.compare.empty() || o.sweep.empty(), UsageError,
      "--compare and --sweep are two studies: run one, then the other (a sweep may vary the loss: --sweep loss=…)");
  const std::vector<Trial> trials = o.sweep.empty() ? compared(base, o.compare) : swept(base, o.sweep);
  std::set<std::string> names;
  for (const Trial& t : trials) {
    TT_CHECK(t.name.find('/') == std::string::npos, UsageError, "\"", t.name, "\" cannot name a folder");
    TT_CHECK(names.insert(t.name).second, UsageError, "the study has ", t.name, " twice");
    check_recipe(t.settings.recipe);
    if (!t.settings.recipe.loss_file.empty())
      require_right_gradient(t.settings.recipe.loss, t.settings.recipe.loss_settings);
  }
  return trials;
}

}  // namespace telltale
