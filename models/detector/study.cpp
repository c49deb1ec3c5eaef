#include "models/detector/study.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/check.h"
#include "base/choice.h"
#include "base/folder_lock.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/outputs.h"
#include "data/dataset_pictures.h"
#include "models/detector/prediction.h"
#include "models/detector/task.h"
#include "models/device.h"
#include "models/training/trainer.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

double f1_of(std::span<const Sample> s) { return confusion(s, 0.5).f1(); }
double accuracy_of(std::span<const Sample> s) { return confusion(s, 0.5).accuracy(); }
double mean_iou_of(std::span<const Sample> s) { return localisation(s, 0.5).mean_iou; }

/// A new study starts in an empty folder; one that goes on may find anything but a single run's files.
void check_folder(const DetectSettings& settings) {
  if (!fs::exists(settings.out)) return;
  TT_CHECK(fs::is_directory(settings.out), UsageError, settings.out, ": the study's folder is a file");
  TT_CHECK(settings.resume || first_content(settings.out).empty(), UsageError, settings.out,
           ": the study's folder is not empty: choose another, or continue with --resume");
  TT_CHECK(!fs::exists(settings.out + "/config.json"), UsageError, settings.out,
           ": is the folder of a single run: choose another for a study");
}

Difference difference(const TrialResult& first, const TrialResult& other) {
  const std::vector<double> a = overlaps_of_fakes(first.samples), b = overlaps_of_fakes(other.samples);
  std::vector<double> by(a.size());
  for (size_t i = 0; i < a.size(); ++i) by[i] = b[i] - a[i];
  return {bootstrap_difference(first.samples, other.samples, roc_auc),
          bootstrap_difference(first.samples, other.samples, mean_iou_of), mcnemar(first.samples, other.samples),
          permutation_test(by)};
}

TrialResult judge(const Trial& trial, Stream& stream, const Dataset& dataset, const std::vector<int>& rows) {
  const std::string& out = trial.settings.out;
  TrialResult r;
  r.trial = trial;
  r.history = read_history(out + "/results.csv");
  const int batch = std::min(int(rows.size()), 32);
  Detector detector(out + "/best.safetensors", stream,
                    {batch, dataset.info().size, precision_of(trial.settings.recipe.precision, stream)});
  r.samples = predict(detector, dataset, rows, trial.settings.workers, [](int) {
    TT_CHECK(!interrupted(), Error, "stopped while judging; the runs are complete: continue with --resume");
  });
  r.evaluation = evaluate(r.samples);
  r.f1 = bootstrap(r.samples, f1_of);
  r.accuracy = bootstrap(r.samples, accuracy_of);
  r.auc = bootstrap(r.samples, roc_auc);
  r.mean_iou = bootstrap(r.samples, mean_iou_of);
  return r;
}

double key(const TrialResult& r, const std::string& by) {
  const double value = by == "f1" ? r.f1.value : by == "auc" ? r.auc.value : r.mean_iou.value;
  return std::isfinite(value) ? value : -1;
}

}  // namespace

RunHistory read_history(const std::string& results_csv) {
  std::ifstream file(results_csv);
  std::string line;
  TT_CHECK(std::getline(file, line), DataError, results_csv, ": cannot read a run's results");
  const std::vector<std::string> header = split(line, ',');
  const auto column = [&](const char* name) {
    const auto at = std::find(header.begin(), header.end(), name);
    TT_CHECK(at != header.end(), DataError, results_csv, ": no column ", name);
    return size_t(at - header.begin());
  };
  RunHistory h;
  const std::pair<size_t, std::vector<double>*> wanted[] = {{column("epoch"), &h.epoch},
                                                            {column("train_loss"), &h.train_loss},
                                                            {column("val_f1"), &h.f1},
                                                            {column("val_auc"), &h.auc},
                                                            {column("val_mean_iou"), &h.mean_iou}};
  const size_t loss_column = column("val_loss");
  double lowest = 0;
  while (std::getline(file, line)) {
    const std::vector<std::string> cells = split(line, ',');
    TT_CHECK(cells.size() == header.size(), DataError, results_csv, ": a row has ", cells.size(), " cells, not ",
             header.size());
    for (const auto& [at, to] : wanted) to->push_back(std::strtod(cells[at].c_str(), nullptr));
    const double loss = std::strtod(cells[loss_column].c_str(), nullptr);
    if (h.best_epoch == 0 || loss < lowest) lowest = loss, h.best_epoch = int(h.epoch.back());
  }
  return h;
}

int run_study(const DetectSettings& settings, const StudyOptions& options, Stream& stream, const Dataset& dataset) {
  const std::vector<Trial> trials = trials_of(settings, options);
  check_folder(settings);
  std::error_code error;
  fs::create_directories(settings.out, error);
  TT_CHECK(fs::is_directory(settings.out), DataError, settings.out, ": cannot make this folder: ", error.message());
  const FolderLock lock(settings.out, "another study");
  const Split split = options.sweep.empty() ? Split::test : Split::validation;
  const std::vector<int> rows = dataset.rows(split);  // before hours of training: it may have none
  check_readable(dataset, rows, /*masks=*/false, settings.workers);
  std::vector<TrialResult> results;
  for (size_t i = 0; i < trials.size(); ++i) {
    spdlog::info("{} of {}: {}", i + 1, trials.size(), trials[i].name);
    Trainer(DetectTask(trials[i].settings.recipe), trials[i].settings, stream, dataset).run();
    results.push_back(judge(trials[i], stream, dataset, rows));
    if (i > 0 && options.sweep.empty()) results.back().to_first = difference(results.front(), results.back());
  }
  if (!options.sweep.empty()) {
    std::stable_sort(results.begin(), results.end(), [&](const TrialResult& a, const TrialResult& b) {
      return key(a, options.by) > key(b, options.by);
    });
  }
  clear_progress_line();
  tell_study(settings, options, dataset, rows, split, results);
  return 0;
}

}  // namespace telltale
