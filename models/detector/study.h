#pragma once
// A study: trains every trial, judges all on the same images, and tells their differences.
#include "data/dataset.h"
#include "kernels/device/stream.h"
#include "models/detector/trials.h"
#include "models/statistics.h"

namespace telltale {

/// results.csv of a run, by column.
struct RunHistory {
  std::vector<double> epoch, train_loss, f1, auc, mean_iou;
  int best_epoch = 0;  ///< of lowest validation loss: whose weights are judged
};
RunHistory read_history(const std::string& results_csv);

/// What the first trial's images say of another: both judged the same images. p are of no difference.
struct Difference {
  Interval auc, mean_iou;
  double p_calls = 1;  ///< McNemar, which calls are right
  double p_iou = 1;    ///< signs of the differences in IoU of the fakes, permuted
};
struct TrialResult {
  Trial trial;
  RunHistory history;
  std::vector<Sample> samples;
  Evaluation evaluation;
  Interval f1, accuracy, auc, mean_iou;
  Difference to_first;
};

/// Trains (or with --resume goes on with) each trial in OUT/NAME, evaluates its best weights on the test split
/// (--compare) or the validation split (--sweep), prints one table and writes results.csv, results.md, report.json,
/// predictions.csv, curves.png and intervals.png into OUT. Returns the exit code.
int run_study(const DetectSettings&, const StudyOptions&, Stream&, const Dataset&);

/// The last part of that.
void tell_study(const DetectSettings&, const StudyOptions&, const Dataset&, const std::vector<int>& rows, Split,
                const std::vector<TrialResult>&);

}  // namespace telltale
