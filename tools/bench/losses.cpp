#include "tools/bench/losses.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/atomic_file.h"
#include "base/choice.h"
#include "base/interrupt.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/table.h"
#include "losses/loss_file.h"
#include "losses/pixel_check.h"
#include "models/device.h"
#include "tools/bench/bench.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

/// What was found out about one loss.
struct Study {
  std::vector<KindError> gradients;
  std::vector<Finding> findings;
  double agreement = 0;
  std::vector<LossSpeed> speeds;
  const KindError& worst() const {
    return *std::max_element(gradients.begin(), gradients.end(),
                             [](const KindError& a, const KindError& b) { return a.worst.error < b.worst.error; });
  }
};

/// A property of the formula, which its author may have wanted; the others are errors.
bool is_property(Mistake m) { return m == Mistake::scale || m == Mistake::dead_zone; }

constexpr std::string_view kPixels = "pixel_";

StudiedLoss studied(const std::string& text) {
  const Choice choice = parse_choice(text, "--losses");
  const bool over_pixels = choice.name.starts_with(kPixels);
  const std::string registered = over_pixels ? choice.name.substr(kPixels.size()) : choice.name;
  StudiedLoss l;
  l.label = choice.text;
  l.name = choice.name;
  l.info = over_pixels ? pixel_loss_info(registered) : loss_info(registered);
  LossSettings given;
  for (const auto& [setting, value] : choice.values) {
    TT_CHECK(value.is_number(), UsageError, "--losses ", text, ": ", setting, " must be a number");
    given[setting] = value.get<double>();
  }
  l.settings = completed(l.info, given);
  if (over_pixels) {
    l.pixels = make_pixel_loss(registered, l.settings);
  } else {
    l.loss = make_row_loss(registered, l.settings);
  }
  return l;
}

std::vector<std::string> every_loss() {
  std::vector<std::string> names = loss_names();
  for (const std::string& name : pixel_loss_names()) names.push_back(std::string(kPixels) + name);
  return names;
}

std::vector<StudiedLoss> chosen(const LossBenchOptions& o) {
  std::vector<std::string> names = o.losses;
  std::vector<std::string> loaded;
  for (const std::string& file : o.files) loaded.push_back(load_loss_file(file));
  if (names.empty()) {
    names = loaded.empty() ? every_loss() : loaded;
    if (!loaded.empty()) names.insert(names.end(), {"smooth_l1", "giou", "diou", "ciou"});  // for company
  } else {
    for (const std::string& name : loaded) {
      const bool named = std::any_of(names.begin(), names.end(), [&](const std::string& text) {
        return parse_choice(text, "--losses").name == name;
      });
      if (!named) names.insert(names.begin(), name);
    }
  }
  std::vector<StudiedLoss> losses;
  for (const std::string& name : names) {
    for (const StudiedLoss& l : losses) TT_CHECK(l.label != name, UsageError, "--losses: ", name, " is there twice");
    losses.push_back(studied(name));
  }
  return losses;
}

void stop_if_interrupted() { TT_CHECK(!interrupted(), Error, "stopped; the report was not written"); }

Table check_table(const std::vector<StudiedLoss>& losses, const std::vector<Study>& studies) {
  Table table{{"loss", "worst gradient error", "where"}};
  for (const Finding& f : studies[0].findings) table.header.push_back(name_of(f.mistake));
  for (size_t i = 0; i < losses.size(); ++i) {
    const KindError& worst = studies[i].worst();
    std::vector<std::string> row = {losses[i].label, short_number(worst.worst.error), worst.kind};
    for (const Finding& f : studies[i].findings) row.push_back(!f.applies ? "–" : f.passed ? "pass" : "FAIL");
    table.rows.push_back(row);
  }
  return table;
}

Table gradient_table(const std::vector<StudiedLoss>& losses, const std::vector<Study>& studies) {
  Table table{{"loss", "kind", "error", "sample", "number", "value", "gradient", "difference_low", "difference_high"}};
  for (size_t i = 0; i < losses.size(); ++i) {
    for (const auto& [kind, w] : studies[i].gradients) {
      table.rows.push_back({losses[i].label, kind, exact_number(w.error), cat(w.sample), cat(w.number),
                            exact_number(w.value), exact_number(w.gradient), exact_number(w.low),
                            exact_number(w.high)});
    }
  }
  return table;
}

Table box_table(const std::vector<std::pair<std::string, Simulation>>& simulations,
                const std::vector<double>& agreements) {
  Table table{{"loss", "agrees with IoU", "IoU after 50", "after 200", "started apart", "IoU > .75", "error"}};
  for (size_t i = 0; i < simulations.size(); ++i) {
    const auto& [label, s] = simulations[i];
    const Simulation::Step& end = s.steps.back();
    table.rows.push_back({label, fixed(100 * agreements[i], 1) + " %", fixed(s.steps[50].iou, 4), fixed(end.iou, 4),
                          fixed(end.iou_apart, 4), fixed(100 * end.share_good, 1) + " %", short_number(end.error)});
  }
  return table;
}

Table speed_table(const std::vector<StudiedLoss>& losses, const std::vector<Study>& studies) {
  Table table{{"loss", "device", "ns a row", "bound", "times the bound"}};
  for (size_t i = 0; i < losses.size(); ++i) {
    for (const LossSpeed& s : studies[i].speeds) {
      table.rows.push_back({losses[i].label, s.device, short_number(1e9 * s.seconds / double(s.rows)),
                            short_number(1e9 * s.bound_seconds / double(s.rows)),
                            fixed(s.seconds / s.bound_seconds, 1)});
    }
  }
  return table;
}

ordered_json to_json(const StudiedLoss& l, const Study& study) {
  ordered_json j;
  j["loss"] = l.name;
  j["settings"] = l.settings;
  const KindError& worst = study.worst();
  j["worst_gradient"] = {{"kind", worst.kind}, {"point", worst.worst.describe()}};
  j["worst_gradient"]["error"] = std::isfinite(worst.worst.error) ? ordered_json(worst.worst.error) : "not finite";
  for (const Finding& f : study.findings) {
    j["audit"][name_of(f.mistake)] = {{"applies", f.applies}, {"passed", f.passed}, {"evidence", f.evidence}};
  }
  for (const LossSpeed& s : study.speeds) {
    j["speed"].push_back(
        {{"device", s.device}, {"rows", s.rows}, {"seconds", s.seconds}, {"bound_seconds", s.bound_seconds}});
  }
  return j;
}

/// The folder must hold no tables, or those of an earlier run.
void check_folder(const std::string& out) {
  std::ifstream file(out + "/report.json");
  const auto old = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (old.is_object() && old.contains("losses") && old.contains("starts")) return;
  for (const char* name : {"report.json", "summary.md", "gradients.csv"})
    TT_CHECK(!std::filesystem::exists(cat(out, "/", name)), UsageError, "--out ", out, ": holds a ", name,
             " that is not of this program; name another folder");
}

}  // namespace

std::vector<KindError> gradient_errors_by_kind(const RowLoss& loss, uint64_t seed) {
  constexpr int kPerKind = 40;
  using Function = void (*)(Random&, double*, double*, int);
  const GradientCheck used = loss.gradient_check(), formula = loss.dual_check();
  const Function* sampler = used.sample.target<Function>();
  if (!sampler || *sampler != sample_boxes) return {{"own samples", loss.worst_gradient(seed)}};
  int kinds = 1;
  while (std::strcmp(box_kind(kinds), box_kind(0)) != 0) ++kinds;
  std::vector<KindError> errors;
  for (int kind = 0; kind < kinds; ++kind) {
    KindError worst{box_kind(kind), {}};
    for (GradientCheck check : {used, formula}) {
      check.sample = [&](Random& random, double* p, double* t, int i) { sample_boxes(random, p, t, kind + kinds * i); };
      const GradientPoint point = worst_gradient(check, seed, kPerKind);
      if (worst.worst.sample < 0 || point.error > worst.worst.error) worst.worst = point;
    }
    errors.push_back(worst);
  }
  return errors;
}

int bench_losses(const CommonOptions& common, const LossBenchOptions& o) {
  const std::vector<StudiedLoss> losses = chosen(o);
  check_folder(o.out);
  std::error_code error;
  std::filesystem::create_directories(o.out, error);
  TT_CHECK(std::filesystem::is_directory(o.out), DataError, o.out, ": cannot make this folder: ", error.message());
  const uint64_t seed = common.seed + 1;
  Stream host = Stream::cpu(common.threads);
  std::vector<Study> studies(losses.size());
  std::vector<std::pair<std::string, Simulation>> simulations;
  std::vector<double> agreements;
  bool drawn = true;
  for (size_t i = 0; i < losses.size(); ++i) {
    const StudiedLoss& l = losses[i];
    stop_if_interrupted();
    spdlog::info("{} of {}: {}", i + 1, losses.size(), l.label);
    if (l.pixels) {
      studies[i].gradients = {{"own samples", worst_pixel_gradient(*l.pixels, seed)}};
      studies[i].findings = audit_pixels(host, *l.pixels, seed);
      continue;
    }
    studies[i].gradients = gradient_errors_by_kind(*l.loss, seed);
    studies[i].findings = audit(host, l.name, l.settings, seed);
    drawn = write_field(o.out, l) && drawn;
    if (!l.info.compares_boxes()) continue;
    agreements.push_back(agreement_with_iou(*l.loss, seed));
    simulations.emplace_back(l.label, simulate(*l.loss, o.starts, seed));
  }
  stop_if_interrupted();
  const std::vector<std::vector<LossSpeed>> speeds = time_losses(common, losses, o.rows);
  for (size_t i = 0; i < losses.size(); ++i) studies[i].speeds = speeds[i];
  if (!simulations.empty()) drawn = write_simulations(o.out, simulations) && drawn;

  std::string text = to_markdown(check_table(losses, studies)) + "\n";
  if (!simulations.empty()) text += to_markdown(box_table(simulations, agreements)) + "\n";
  text += to_markdown(speed_table(losses, studies));
  ordered_json report = {{"command", common.command},
                         {"machine", machine_description()},
                         {"starts", o.starts},
                         {"rows", o.rows},
                         {"losses", ordered_json::object()}};
  for (size_t i = 0; i < losses.size(); ++i) report["losses"][losses[i].label] = to_json(losses[i], studies[i]);
  for (size_t i = 0; i < simulations.size(); ++i) {
    const Simulation::Step& end = simulations[i].second.steps.back();
    report["losses"][simulations[i].first]["boxes"] = {
        {"agreement_with_iou", agreements[i]}, {"mean_iou", end.iou},     {"mean_iou_overlapping", end.iou_overlapping},
        {"mean_iou_apart", end.iou_apart},     {"mean_error", end.error}, {"share_above_0.75", end.share_good}};
  }
  write_atomically(o.out + "/gradients.csv", to_csv(gradient_table(losses, studies)));
  write_atomically(o.out + "/summary.md", text);
  write_atomically(o.out + "/report.json", json_text(report, 2) + "\n");
  if (!drawn)
    spdlog::warn("no pictures: gnuplot is missing or failed (install gnuplot-nox); the numbers are all there");

  std::printf("%s\n%s", machine_description().c_str(), text.c_str());
  bool wrong = false;
  for (size_t i = 0; i < losses.size(); ++i) {
    for (const Finding& f : studies[i].findings) {
      if (f.passed) continue;
      wrong = wrong || !is_property(f.mistake);
      std::printf("\n%s: %s: %s\n", losses[i].label.c_str(), name_of(f.mistake), f.evidence.c_str());
    }
  }
  std::fflush(stdout);
  if (wrong) spdlog::error("a loss is wrong: see above, and {}/report.json", o.out);
  return wrong ? 1 : 0;
}

}  // namespace telltale
