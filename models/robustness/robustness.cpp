#include "models/robustness/robustness.h"

#include <algorithm>
#include <cmath>

#include "models/plot.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

constexpr int kRounds = 400;  // of the bootstrap, for each of some hundred numbers

struct Figure {
  const char* name;
  const char* column;
  Interval RobustnessPoint::*value;
};
constexpr Figure kFigures[] = {{"F1", "f1", &RobustnessPoint::f1},
                               {"ROC AUC", "auc", &RobustnessPoint::auc},
                               {"mean IoU", "mean_iou", &RobustnessPoint::mean_iou},
                               {"false alarms", "false_alarms", &RobustnessPoint::false_alarms}};

RobustnessPoint measured(const Change& change, std::span<const Sample> samples, double threshold) {
  RobustnessPoint p{
      .family = change.family, .strength = change.strength, .f1 = {}, .auc = {}, .mean_iou = {}, .false_alarms = {}};
  for (const Sample& s : samples) ++(s.fake ? p.fakes : p.reals);
  const auto of = [&](const Metric& metric) { return bootstrap(samples, metric, kRounds); };
  p.f1 = of([&](std::span<const Sample> s) { return confusion(s, threshold).f1(); });
  p.auc = of([](std::span<const Sample> s) { return roc_auc(s); });
  p.mean_iou = of([&](std::span<const Sample> s) { return localisation(s, threshold).mean_iou; });
  p.false_alarms = of([&](std::span<const Sample> s) {
    const Confusion c = confusion(s, threshold);
    const int64_t reals = c.false_positives + c.true_negatives;
    return reals > 0 ? double(c.false_positives) / double(reals) : std::nan("");
  });
  return p;
}

/// The families in order, each with its points, the unchanged pictures' before them.
std::vector<std::pair<std::string, std::vector<const RobustnessPoint*>>> by_family(
    const std::vector<RobustnessPoint>& points) {
  std::vector<std::pair<std::string, std::vector<const RobustnessPoint*>>> families;
  for (size_t i = 1; i < points.size(); ++i) {
    if (families.empty() || families.back().first != points[i].family)
      families.push_back({points[i].family, {&points[0]}});
    families.back().second.push_back(&points[i]);
  }
  return families;
}

}  // namespace

std::vector<RobustnessPoint> sweep_robustness(std::span<const Labelled> pictures, const LookAtAll& look,
                                              double threshold, const std::function<void()>& after_each) {
  std::vector<RobustnessPoint> points;
  for (const Change& change : robustness_changes()) {
    std::vector<Labelled> changed;
    for (const Labelled& before : pictures) {
      Labelled after = before;
      change.apply(after);
      const double zoom =
          double(after.image.width) * after.image.height / (double(before.image.width) * before.image.height);
      const bool cropped = change.family == "crop";
      const double expected = double(area(before.label.box)) * (cropped ? 1 : zoom);
      if (before.label.fake && double(area(after.label.box)) < .5 * expected) continue;
      changed.push_back(std::move(after));
    }
    points.push_back(measured(change, look(changed), threshold));
    if (after_each) after_each();
  }
  return points;
}

Table robustness_table(const std::vector<RobustnessPoint>& points) {
  Table table{{"change", "strength", "fakes", "reals"}};
  for (const Figure& f : kFigures) table.header.emplace_back(f.name);
  for (const RobustnessPoint& p : points) {
    std::vector<std::string> row = {p.family, p.strength, cat(p.fakes), cat(p.reals)};
    for (const Figure& f : kFigures) row.push_back(shown(p.*f.value));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table robustness_numbers(const std::vector<RobustnessPoint>& points) {
  Table table{{"change", "strength", "fakes", "reals"}};
  for (const Figure& f : kFigures)
    for (const char* end : {"", "_low", "_high"}) table.header.push_back(std::string(f.column) + end);
  for (const RobustnessPoint& p : points) {
    std::vector<std::string> row = {p.family, p.strength, cat(p.fakes), cat(p.reals)};
    for (const Figure& f : kFigures)
      for (const double v : {(p.*f.value).value, (p.*f.value).low, (p.*f.value).high}) row.push_back(exact_number(v));
    table.rows.push_back(std::move(row));
  }
  return table;
}

ordered_json robustness_json(const std::vector<RobustnessPoint>& points) {
  const auto number = [](double v) {
    return std::isfinite(v) ? ordered_json(std::round(1e4 * v) / 1e4) : ordered_json();
  };
  ordered_json panels = ordered_json::array();
  for (const auto& [family, of] : by_family(points)) {
    ordered_json panel{{"title", family}, {"at", ordered_json::array()}, {"series", ordered_json::array()}};
    for (const RobustnessPoint* p : of) panel["at"].push_back(p == &points[0] ? "none" : p->strength);
    for (const Figure& f : kFigures) {
      ordered_json values = ordered_json::array();
      for (const RobustnessPoint* p : of)
        values.push_back({number((p->*f.value).value), number((p->*f.value).low), number((p->*f.value).high)});
      panel["series"].push_back({{"name", f.name}, {"values", std::move(values)}});
    }
    panels.push_back(std::move(panel));
  }
  return panels;
}

bool plot_robustness(const std::string& path, const std::vector<RobustnessPoint>& points) {
  std::vector<BarPanel> panels;
  for (const Figure& f : kFigures) {
    BarPanel panel{f.name, {}};
    for (const RobustnessPoint& p : points) {
      const Interval& i = p.*f.value;
      panel.bars.push_back({p.family + (p.family == "none" ? "" : " " + p.strength), i.value, i.low, i.high});
    }
    panels.push_back(std::move(panel));
  }
  return plot_intervals(path, panels);
}

}  // namespace telltale
