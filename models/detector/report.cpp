#include "models/detector/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/table.h"
#include "kernels/parts/math.h"
#include "models/device.h"
#include "models/plot.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

ordered_json metrics_json(const Evaluation& e) {
  const Confusion& c = e.confusion;
  const Localisation& l = e.localisation;
  ordered_json j;
  j["threshold"] = e.threshold;
  j["images"] = e.fakes + e.reals;
  j["fakes"] = e.fakes;
  j["reals"] = e.reals;
  j["precision"] = c.precision();
  j["recall"] = c.recall();
  j["f1"] = c.f1();
  j["accuracy"] = c.accuracy();
  j["roc_auc"] = std::isfinite(e.auc) ? ordered_json(e.auc) : ordered_json();
  j["confusion"] = {{"true_positives", c.true_positives},
                    {"false_positives", c.false_positives},
                    {"false_negatives", c.false_negatives},
                    {"true_negatives", c.true_negatives}};
  j["mean_iou"] = l.mean_iou;
  j["mean_iou_true_positives"] = l.mean_iou_found;
  j["mean_iou_paper"] = l.mean_iou_paper;
  ordered_json success;
  for (int i = 0; i < kSuccessLevels; ++i) success[fmt::format("{:.2f}", success_level(i))] = l.success[size_t(i)];
  j["success"] = success;
  j["mean_success"] = l.mean_success;
  return j;
}

std::string predictions(const Report& r, const Dataset& data, const std::vector<int>& rows) {
  std::string csv = "id,fake_label,logit,fake_probability,called_fake,x_min,y_min,x_max,y_max,iou\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    const Sample& s = r.samples[i];
    const RealBox& b = s.predicted;
    csv += fmt::format("{},{},{:.9g},{:.9g},{},{:.3f},{:.3f},{:.3f},{:.3f},",
                       csv_cell(data.labels()[size_t(rows[i])].id), int(s.fake), s.logit, sigmoid(s.logit),
                       int(calls_fake(s.logit, r.evaluation.threshold)), b.x_min, b.y_min, b.x_max, b.y_max);
    csv += s.fake ? fmt::format("{:.6f}\n", iou(s.predicted, s.truth)) : "\n";
  }
  return csv;
}

}  // namespace

std::map<std::string, Interval> intervals_of(std::span<const Sample> samples, double threshold) {
  constexpr int64_t kDrawn = 4'000'000;  // images, over all draws: some seconds
  const int rounds = int(std::clamp<int64_t>(kDrawn / std::max<int64_t>(1, int64_t(samples.size())), 200, 2000));
  const auto of = [&](const Metric& metric) { return bootstrap(samples, metric, rounds); };
  const auto of_calls = [&](double (Confusion::*rate)() const) {
    return of([&](std::span<const Sample> s) { return (confusion(s, threshold).*rate)(); });
  };
  return {{"precision", of_calls(&Confusion::precision)},
          {"recall", of_calls(&Confusion::recall)},
          {"f1", of_calls(&Confusion::f1)},
          {"accuracy", of_calls(&Confusion::accuracy)},
          {"roc_auc", of(roc_auc)},
          {"mean_iou", of([&](std::span<const Sample> s) { return localisation(s, threshold).mean_iou; })}};
}

std::vector<Measure> measures_of(const Report& r) {
  const Confusion& c = r.evaluation.confusion;
  const Localisation& l = r.evaluation.localisation;
  const auto interval = [&](const char* name) -> std::optional<Interval> {
    const auto it = r.intervals.find(name);
    if (it == r.intervals.end() || !std::isfinite(it->second.value)) return std::nullopt;
    return it->second;
  };
  std::vector<Measure> measures = {
      {"precision", c.precision(), fmt::format("at threshold {}", r.evaluation.threshold), interval("precision")},
      {"recall", c.recall(), {}, interval("recall")},
      {"F1", c.f1(), {}, interval("f1")},
      {"accuracy", c.accuracy(), {}, interval("accuracy")},
      {"ROC AUC", r.evaluation.auc, {}, interval("roc_auc")},
      {"mean IoU", l.mean_iou, "over all fakes, a miss counts 0", interval("mean_iou")},
      {"mean IoU, found", l.mean_iou_found, "over true positives"},
      {"mean IoU, paper's", l.mean_iou_paper, "over true positives, sides one pixel longer"},
      {"success, IoU > .50", l.success_at(.5), "of all fakes"},
      {"success, IoU > .55", l.success_at(.55)},
      {"success, IoU > .75", l.success_at(.75)},
      {"success, .50:.05:.95", l.mean_success, "mean of ten"}};
  if (r.pixels) {
    measures.push_back({"pixel F1", r.pixels->f1, "over all pixels of the map, at a probability of .5"});
    measures.push_back({"pixel IoU", r.pixels->iou});
    measures.push_back({"pixel AUC", r.pixels->auc});
    measures.push_back({"pixel average precision", r.pixels->average_precision});
    measures.push_back(
        {"calibration error", calibration_error(r.samples),
         r.calibrated ? "expected, of the picture's probability" : "expected, of a probability not calibrated"});
  }
  return measures;
}

void print_table(const Report& r) {
  const Evaluation& e = r.evaluation;
  const Confusion& c = e.confusion;
  std::printf("%s (width %g, sha256 %.12s) on %lld images of split %s, %lld of them fake\n\n", r.info.net.c_str(),
              r.info.width, r.weights_sha256.c_str(), static_cast<long long>(e.fakes + e.reals), r.split.c_str(),
              static_cast<long long>(e.fakes));
  for (const Measure& m : measures_of(r))
    std::printf("%-26s %9s  %-14s  %s\n", m.name.c_str(), fixed(m.value, 4).c_str(),
                m.interval ? ends_of(*m.interval).c_str() : "", m.remark.c_str());
  if (!r.intervals.empty()) std::printf("\nIn brackets: 95 %% intervals, by drawing the images anew\n");
  std::printf("\n%14s %12s %12s\n%14s %12lld %12lld\n%14s %12lld %12lld\n", "", "called real", "called fake", "is real",
              static_cast<long long>(c.true_negatives), static_cast<long long>(c.false_positives), "is fake",
              static_cast<long long>(c.false_negatives), static_cast<long long>(c.true_positives));
  if (!r.painters.empty()) {
    Table table{{"painter", "fakes", "found", "AUC against all reals", "mean IoU"}};
    for (const PainterScores& p : r.painters)
      table.rows.push_back(
          {p.painter, std::to_string(p.fakes), fixed(p.found, 3), fixed(p.auc, 3), fixed(p.mean_iou, 3)});
    std::printf("\n%s", to_markdown(table).c_str());
  }
  std::fflush(stdout);
}

void check_report_folder(const std::string& out) {
  namespace fs = std::filesystem;
  std::ifstream file(out + "/report.json");
  const ordered_json old = ordered_json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (old.is_object() && old.contains("confusion") && old.contains("weights")) return;  // an earlier report's folder
  for (const char* name : {"report.json", "predictions.csv", "confusion.png", "roc.png"})
    TT_CHECK(!fs::exists(out + "/" + name), UsageError, out, ": holds a ", name,
             " that is no report's; name another folder");
}

void write_report(const std::string& out, const Report& r, const Dataset& data, const std::vector<int>& rows) {
  ordered_json j = metrics_json(r.evaluation);
  for (const auto& [name, i] : r.intervals)
    if (std::isfinite(i.value)) j["intervals_95"][name] = {i.low, i.high};
  j["split"] = r.split;
  j["precision_of_activations"] = r.precision;
  j["weights"] = {{"path", r.weights},
                  {"sha256", r.weights_sha256},
                  {"net", r.info.net},
                  {"width", r.info.width},
                  {"size", r.info.size}};
  j["dataset"] = {{"path", data.dir()},
                  {"labels_sha256", data.labels_sha256()},
                  {"weights_sha256", data.info().weights_sha256},
                  {"negatives", data.info().negatives}};
  j["boxes"] = r.pixels ? "around the map's regions where the probability is at least .5, but for those below a "
                          "twentieth of the largest"
                        : "corners times width and height, sorted, clamped to the image, not rounded";
  if (r.pixels)
    j["pixels"] = {{"f1", r.pixels->f1},
                   {"iou", r.pixels->iou},
                   {"mean_iou_of_fakes", r.pixels->mean_iou},
                   {"auc", r.pixels->auc},
                   {"average_precision", r.pixels->average_precision}};
  if (r.pixels) {
    j["calibrated"] = r.calibrated;
    j["calibration_error"] = calibration_error(r.samples);
  }
  for (const PainterScores& p : r.painters)
    j["painters"][p.painter] = {{"fakes", p.fakes},
                                {"found", p.found},
                                {"roc_auc", std::isfinite(p.auc) ? ordered_json(p.auc) : ordered_json()},
                                {"mean_iou", p.mean_iou}};
  j["images_per_second"] = double(r.samples.size()) / r.seconds;
  j["command"] = r.command;
  j["device"] = r.device;
  j["machine"] = machine_description();
  write_atomically(out + "/predictions.csv", predictions(r, data, rows));
  write_atomically(out + "/report.json", json_text(j, 2) + "\n");
  const std::vector<RocPoint> curve = roc_curve(r.samples);
  const bool drawn = plot_confusion(out + "/confusion.png", r.evaluation.confusion, r.evaluation.threshold) &&
                     (curve.empty() || plot_roc(out + "/roc.png", curve, r.evaluation.auc));
  if (!drawn)
    spdlog::warn("no pictures: gnuplot is missing or failed (install gnuplot-nox); the numbers are all there");
}

}  // namespace telltale
