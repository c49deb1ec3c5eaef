// eval: how well a detector does on a split of a dataset.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "models/detector/prediction.h"
#include "models/detector/report.h"
#include "models/device.h"

namespace telltale {
namespace {

struct Settings {
  std::string data, weights, out, split = "test", precision = "f32";
  double threshold = 0.5;
  int batch = 8, workers = 0;
};

int evaluate_weights(const Settings& o, const CommonOptions& common) {
  const Dataset dataset = Dataset::open(o.data);
  const std::vector<int> rows = dataset.rows(split_named(o.split));
  check_report_folder(o.out);
  Stream stream = open_device(common);
  const std::string precision = resolved_precision(o.precision, stream);
  Detector detector(o.weights, stream, {o.batch, dataset.info().size, precision_of(precision, stream)});
  std::error_code error;
  std::filesystem::create_directories(o.out, error);
  TT_CHECK(std::filesystem::is_directory(o.out), DataError, o.out, ": cannot make this folder: ", error.message());

  Progress bar("eval", int64_t(rows.size()));
  Report report;
  report.samples = predict(detector, dataset, rows, o.workers, [&](const Batch& batch) {
    bar.advance(batch.count);
    TT_CHECK(!interrupted(), Error, "stopped; nothing was written to ", o.out);
  });
  report.seconds = bar.seconds();
  report.evaluation = evaluate(report.samples, o.threshold);
  report.split = o.split;
  report.precision = precision;
  report.weights = o.weights;
  report.weights_sha256 = detector.weights_sha256();
  report.info = detector.info();
  report.command = common.command;
  report.device = stream.description();
  clear_progress_line();
  print_table(report);
  write_report(o.out, report, dataset, rows);
  return 0;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  Settings o;
  const auto setup = [&](CLI::App& app) {
    app.add_option("--data", o.data, "dataset folder")->required();
    app.add_option("--weights", o.weights, "a detector's weights, such as best.safetensors of a run")->required();
    app.add_option("--out", o.out, "folder for report.json, predictions.csv and pictures")->required();
    app.add_option("--split", o.split, "train, validation or test")->capture_default_str();
    app.add_option("--threshold", o.threshold, "probability from which an image is called fake")->capture_default_str();
    app.add_option("--batch", o.batch, "images at a time")->check(CLI::Range(1, 4096))->capture_default_str();
    app.add_option("--precision", o.precision,
                   "of activations; auto: bf16 where the processor is faster in it, else f32")
        ->check(CLI::IsMember({"auto", "f32", "tf32", "bf16", "f16"}))
        ->capture_default_str();
    app.add_option("--workers", o.workers, "decoding threads; 0: one per core")->check(CLI::Range(0, 1024));
  };
  return run_tool({"eval", "Measures a detector on a split of a dataset."}, argc, argv, setup,
                  [&](const CommonOptions& common) {
                    TT_CHECK(o.threshold > 0 && o.threshold < 1, UsageError, "--threshold ", o.threshold,
                             ": expected a probability between 0 and 1");
                    return evaluate_weights(o, common);
                  });
}
