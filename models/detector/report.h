#pragma once
// What `eval` tells: a table, report.json, predictions.csv and two pictures.
#include <map>
#include <optional>

#include "data/dataset.h"
#include "models/detector/detector.h"
#include "models/metrics.h"
#include "models/painter_scores.h"
#include "models/pixel_metrics.h"
#include "models/statistics.h"

namespace telltale {

struct Report {
  std::vector<Sample> samples;
  Evaluation evaluation;
  std::map<std::string, Interval> intervals = {};  ///< by the measures' names in report.json: intervals_of
  std::string split, precision, weights, weights_sha256, command, device;
  DetectorInfo info;
  double seconds = 0;
  /// What a locator's maps are worth. Its info has net, width and the images' size.
  std::optional<PixelScores> pixels = std::nullopt;
  /// Whether a locator's probabilities were calibrated.
  bool calibrated = false;
  /// Of datasets that name their painters.
  std::vector<PainterScores> painters = {};
};

/// 95 % intervals of precision, recall, f1, accuracy, roc_auc and mean_iou: bootstrap's, by 2000 draws of up to 2000
/// images, fewer of more.
std::map<std::string, Interval> intervals_of(std::span<const Sample> samples, double threshold);

/// A line of the table.
struct Measure {
  std::string name;
  double value = 0;  ///< NaN where it does not exist
  std::string remark = {};
  std::optional<Interval> interval = std::nullopt;
};
std::vector<Measure> measures_of(const Report&);
/// To stdout.
void print_table(const Report&);
/// Throws UsageError when the folder holds a file that write_report would replace and a report did not write.
void check_report_folder(const std::string& out);
/// Writes into the folder `out`; `rows` are the samples' rows of the dataset. A missing gnuplot costs a warning and the
/// pictures, nothing else.
void write_report(const std::string& out, const Report&, const Dataset&, const std::vector<int>& rows);

}  // namespace telltale
