// What a study tells: one table in four forms, and two pictures.
#include <cstdio>

#include "base/atomic_file.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/table.h"
#include "models/detector/study.h"
#include "models/device.h"
#include "models/plot.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

std::string shown_p(double p) { return p < 0.001 ? "< 0.001" : fixed(p, 3); }
ordered_json number(double v) { return std::isfinite(v) ? ordered_json(v) : ordered_json(); }
ordered_json json_of(const Interval& i) {
  return {{"value", number(i.value)}, {"low", number(i.low)}, {"high", number(i.high)}};
}

/// For people.
Table readable(const std::vector<TrialResult>& results, bool paired) {
  Table table;
  for (const auto& [name, value] : results[0].trial.varied) table.header.push_back(name);
  for (const char* title : {"best epoch", "F1", "ROC AUC", "mean IoU"}) table.header.emplace_back(title);
  if (paired) {
    for (const char* title : {"calls: p", "AUC − first", "IoU − first", "IoU: p"}) table.header.emplace_back(title);
  }
  for (const TrialResult& r : results) {
    std::vector<std::string> row;
    for (const auto& [name, value] : r.trial.varied) row.push_back(value);
    row.insert(row.end(), {cat(r.history.best_epoch), shown(r.f1), shown(r.auc), shown(r.mean_iou)});
    const bool first = &r == &results.front();
    if (paired && first) row.insert(row.end(), 4, "");
    if (paired && !first) {
      const Difference& d = r.to_first;
      row.insert(row.end(), {shown_p(d.p_calls), shown(d.auc), shown(d.mean_iou), shown_p(d.p_iou)});
    }
    table.rows.push_back(row);
  }
  return table;
}

/// For programs: every number, intervals as three columns.
Table complete(const std::vector<TrialResult>& results, bool paired) {
  Table table;
  for (const auto& [name, value] : results[0].trial.varied) table.header.push_back(name);
  table.header.insert(table.header.end(), {"best_epoch", "epochs", "precision", "recall", "success_50"});
  const auto add_interval = [&](const std::string& name) {
    table.header.insert(table.header.end(), {name, name + "_low", name + "_high"});
  };
  for (const char* name : {"f1", "accuracy", "auc", "mean_iou"}) add_interval(name);
  if (paired) {
    for (const char* name : {"auc_difference", "mean_iou_difference"}) add_interval(name);
    table.header.insert(table.header.end(), {"p_calls", "p_iou"});
  }
  for (const TrialResult& r : results) {
    std::vector<std::string> row;
    for (const auto& [name, value] : r.trial.varied) row.push_back(value);
    const Confusion& c = r.evaluation.confusion;
    row.insert(row.end(), {cat(r.history.best_epoch), cat(r.history.epoch.size()), exact_number(c.precision()),
                           exact_number(c.recall()), exact_number(r.evaluation.localisation.success_at(.5))});
    std::vector<Interval> intervals = {r.f1, r.accuracy, r.auc, r.mean_iou};
    if (paired) intervals.insert(intervals.end(), {r.to_first.auc, r.to_first.mean_iou});
    for (const Interval& i : intervals) {
      row.insert(row.end(), {exact_number(i.value), exact_number(i.low), exact_number(i.high)});
    }
    if (paired) row.insert(row.end(), {exact_number(r.to_first.p_calls), exact_number(r.to_first.p_iou)});
    table.rows.push_back(row);
  }
  return table;
}

ordered_json json_of(const TrialResult& r, bool paired) {
  ordered_json j;
  j["name"] = r.trial.name;
  for (const auto& [name, value] : r.trial.varied) j["varied"][name] = value;
  j["run"] = r.trial.settings.out;
  j["seed"] = r.trial.settings.common.seed;
  j["recipe"] = to_json(r.trial.settings.recipe);
  j["best_epoch"] = r.history.best_epoch;
  j["f1"] = json_of(r.f1);
  j["accuracy"] = json_of(r.accuracy);
  j["auc"] = json_of(r.auc);
  j["mean_iou"] = json_of(r.mean_iou);
  if (paired) {
    j["against_the_first"] = {{"p_calls_mcnemar", r.to_first.p_calls},
                              {"auc_difference", json_of(r.to_first.auc)},
                              {"mean_iou_difference", json_of(r.to_first.mean_iou)},
                              {"p_iou_permutation", r.to_first.p_iou}};
  }
  return j;
}

Table predictions(const std::vector<TrialResult>& results, const Dataset& dataset, const std::vector<int>& rows) {
  Table table{{"id", "fake_label"}};
  std::vector<std::vector<double>> overlaps;
  for (const TrialResult& r : results) {
    table.header.insert(table.header.end(), {r.trial.name + " logit", r.trial.name + " iou"});
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const Label& label = dataset.labels()[size_t(rows[i])];
    std::vector<std::string> row = {label.id, cat(int(label.fake))};
    for (const TrialResult& r : results) {
      const Sample& s = r.samples[i];
      row.push_back(exact_number(s.logit));
      row.push_back(s.fake ? exact_number(iou(s.predicted, s.truth)) : "");
    }
    table.rows.push_back(row);
  }
  return table;
}

bool draw_pictures(const std::string& out, const std::vector<TrialResult>& results) {
  CurvePanel train{"training loss over its first epoch's", "epoch", "", {}, true},
      auc{"validation", "epoch", "ROC AUC", {}}, overlap{"validation", "epoch", "mean IoU of fakes", {}};
  BarPanel f1_bars{"F1", {}}, auc_bars{"ROC AUC", {}}, overlap_bars{"mean IoU of fakes", {}};
  for (const TrialResult& r : results) {
    const RunHistory& h = r.history;
    std::vector<double> relative;
    for (double loss : h.train_loss) relative.push_back(loss / h.train_loss[0]);
    train.curves.push_back({r.trial.name, h.epoch, relative});
    auc.curves.push_back({r.trial.name, h.epoch, h.auc});
    overlap.curves.push_back({r.trial.name, h.epoch, h.mean_iou});
    f1_bars.bars.push_back({r.trial.name, r.f1.value, r.f1.low, r.f1.high});
    auc_bars.bars.push_back({r.trial.name, r.auc.value, r.auc.low, r.auc.high});
    overlap_bars.bars.push_back({r.trial.name, r.mean_iou.value, r.mean_iou.low, r.mean_iou.high});
  }
  return plot_curves(out + "/curves.png", {train, auc, overlap}) &&
         plot_intervals(out + "/intervals.png", {f1_bars, auc_bars, overlap_bars});
}

}  // namespace

void tell_study(const DetectSettings& settings, const StudyOptions& options, const Dataset& dataset,
                const std::vector<int>& rows, Split split, const std::vector<TrialResult>& results) {
  const bool paired = options.sweep.empty();
  const Evaluation& any = results[0].evaluation;
  std::string text = cat("`", settings.common.command, "`\n\nBest epochs' weights on ", rows.size(),
                         " images of the split ", name_of(split), ", ", any.fakes,
                         " of them fake; threshold 0.5; 95 % intervals by bootstrap over images; mean IoU over all "
                         "fakes, a miss counts 0");
  text +=
      paired
          ? ". \"first\" is " + results[0].trial.name +
                "; p: chance of such a difference between two equal detectors, by McNemar's test on right calls and by "
                "permuted signs on IoUs, not corrected for the number of losses.\n\n"
          : "; in order of " + options.by + ".\n\n";
  text += to_markdown(readable(results, paired));
  text +=
      "\nEach is one training: intervals and p say how sure the images make these nets' numbers, not how another seed "
      "would turn out.\n";
  ordered_json report = {{"command", settings.common.command},
                         {"machine", machine_description()},
                         {"split", name_of(split)},
                         {"images", rows.size()},
                         {"dataset_labels_sha256", dataset.labels_sha256()},
                         {"trials", ordered_json::array()}};
  for (const TrialResult& r : results) report["trials"].push_back(json_of(r, paired));
  const std::string& out = settings.out;
  write_atomically(out + "/results.csv", to_csv(complete(results, paired)));
  write_atomically(out + "/predictions.csv", to_csv(predictions(results, dataset, rows)));
  write_atomically(out + "/results.md", text);
  write_atomically(out + "/report.json", json_text(report, 2) + "\n");
  if (!draw_pictures(out, results))
    spdlog::warn("no pictures: gnuplot is missing or failed (install gnuplot-nox); the numbers are all there");
  std::printf("%s", text.c_str());
  std::fflush(stdout);
}

}  // namespace telltale
