// eval: how well a detector or a locator does on a split of a dataset, and a locator on other generators' fills.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/atomic_file.h"
#include "base/interrupt.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/outputs.h"
#include "base/packed.h"
#include "base/progress.h"
#include "base/ranks.h"
#include "data/dataset_pictures.h"
#include "models/detector/prediction.h"
#include "models/detector/report.h"
#include "models/device.h"
#include "models/locator/fills.h"
#include "models/locator/prediction.h"
#include "models/report/evaluation_page.h"
#include "tools/eval/robustness.h"

namespace telltale {
namespace {

struct Settings {
  std::string data, fills, weights, out, page, calibrate, split = "test", precision = "f32";
  std::optional<double> threshold;
  double false_alarms = 0.05, misses = 0.05;
  int page_mb = 48, robustness_pictures = 200;
  bool robustness = false;
  int batch = 8, workers = 0, fills_quality = 90;
  std::vector<std::string> besides;  ///< datasets that --calibrate takes, too
  Ranks* ranks = &Ranks::none();     ///< who measure together
  double rank_timeout = 600;
  std::vector<std::string> painters;  ///< whose fakes are judged by; empty: everyone's
};

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  TT_CHECK(std::filesystem::is_directory(path), DataError, path, ": cannot make this folder: ", error.message());
}

/// Of --split: one, or all.
std::vector<Split> splits_of(const std::string& name) {
  if (name == "all") return {Split::train, Split::validation, Split::test};
  return {split_named(name)};
}

Dataset open_data(const Settings& o, const std::string& folder) {
  const Dataset all = Dataset::open(folder);
  return o.painters.empty() ? all : all.only_painters(o.painters);
}

/// Without those that cannot be read: a warning each, and their number is added to `skipped`.
std::vector<int> readable(const Settings& o, const Dataset& dataset, const std::vector<int>& rows, bool masks,
                          size_t& skipped) {
  Remarks refused;
  std::vector<int> good = readable_rows(dataset, rows, masks, o.workers, refused, *o.ranks);
  for (const std::string& line : refused) spdlog::warn("skipped {}", line);
  TT_CHECK(!good.empty(), DataError, dataset.dir(), ": none of ", rows.size(), " pictures can be read");
  skipped += refused.size();
  return good;
}

/// The exit code at the end.
int tell_skipped(const Settings& o, size_t skipped, size_t of) {
  if (skipped == 0 || !o.ranks->leads()) return 0;
  spdlog::error("{} of {} pictures were skipped; all figures are of the others", skipped, of);
  return 1;
}

int evaluate_weights(const Settings& o, const CommonOptions& common) {
  const std::vector<Split> splits = splits_of(o.split);  // what was said wrong first, then what cannot be read
  double threshold = o.threshold.value_or(0.5);
  const bool locates = is_locator(WeightsFile::open(o.weights).metadata());
  const Dataset dataset = open_data(o, o.data);
  const std::vector<int> all = dataset.rows(splits);
  check_report_folder(o.out);
  if (!o.page.empty()) {
    for (const char* name : {"predictions.csv", "report.json", "robustness.csv"})
      check_apart("--report", o.page, "--out", o.out + "/" + name);
    check_text_output("--report", o.page, {o.weights, o.data + "/labels.csv", o.data + "/dataset.json"});
  }
  size_t skipped = 0;
  const std::vector<int> rows = readable(o, dataset, all, locates, skipped);
  Stream stream = open_device(common);
  Report report;
  report.precision = resolved_precision(o.precision, stream);
  const DType compute = precision_of(report.precision, stream);
  std::optional<Detector> detector;
  std::optional<Locator> locator;
  if (locates) {
    locator.emplace(o.weights, stream, Locator::Settings{.compute = compute});
    threshold = o.threshold.value_or(locator->threshold());
  } else {
    detector.emplace(o.weights, stream, Detector::Settings{o.batch, dataset.info().size, compute});
  }
  o.ranks->lead([&] { make_folder(o.out); });

  std::optional<EvaluationPage> page;
  if (!o.page.empty()) page.emplace(dataset, int64_t(rows.size()), threshold, size_t(o.page_mb) << 20);
  Progress bar("eval", int64_t(rows.size()));
  const auto after_batch = [&](int count) {
    bar.advance(count);
    TT_CHECK(!interrupted(), Error, "stopped; nothing was written to ", o.out);
  };
  const auto keep = [&](const std::string& item) { page->add(page_item_in(unpacked(item))); };
  if (locator) {
    KeepMap kept;
    if (page)
      kept = {[&](int row, const Image& image, const Sample& sample, const PictureMap& map) {
                return bytes_of(packed(page->item(row, image, sample, &map)));
              },
              keep};
    Located located = predict(*locator, dataset, rows, o.workers, after_batch, kept, *o.ranks);
    report.samples = std::move(located.samples);
    report.pixels = located.pixels;
    report.calibrated = locator->calibration().has_value();
    report.info = {.net = locator->info().net, .width = double(locator->info().width), .size = dataset.info().size};
    report.weights_sha256 = locator->weights_sha256();
  } else {
    Keep kept;
    if (page)
      kept = {[&](int row, const Image& image, const Sample& sample) {
                return bytes_of(packed(page->item(row, image, sample, nullptr)));
              },
              keep};
    report.samples = predict(*detector, dataset, rows, o.workers, after_batch, kept, *o.ranks);
    report.info = detector->info();
    report.weights_sha256 = detector->weights_sha256();
  }
  report.seconds = bar.seconds();
  report.split = o.split;
  report.weights = o.weights;
  report.command = common.command;
  report.device = stream.description();
  clear_progress_line();
  o.ranks->lead([&] {
    report.evaluation = evaluate(report.samples, threshold);
    report.intervals = intervals_of(report.samples, threshold);
    std::vector<std::string> painters;
    painters.reserve(rows.size());
    for (const int row : rows) painters.push_back(dataset.labels()[size_t(row)].painter);
    report.painters = scores_by_painter(report.samples, painters, threshold);
    print_table(report);
    write_report(o.out, report, dataset, rows);
  });
  nlohmann::ordered_json panels;
  if (o.robustness) {
    const auto points = measure_robustness(locator ? &*locator : nullptr, detector ? &*detector : nullptr, dataset,
                                           rows, o.robustness_pictures, threshold, *o.ranks);
    clear_progress_line();
    o.ranks->lead([&] {
      tell_robustness(o.out, points);
      panels = robustness_json(points);
    });
  }
  if (page) o.ranks->lead([&] { write_atomically(o.page, page->html(report, panels)); });
  return tell_skipped(o, skipped, all.size());
}

/// Of fills.json: it must be new, or what an earlier evaluation wrote.
void check_fills_file(const std::string& path) {
  if (!std::filesystem::exists(path)) return;
  std::ifstream file(path);
  const auto old = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  TT_CHECK(old.is_object() && old.contains("jpeg_quality") && old.contains("weights"), UsageError, path,
           ": is there already, and eval did not write it; name another folder");
}

int evaluate_fills(const Settings& o, const CommonOptions& common) {
  const std::vector<FillPicture> pictures = read_fills(o.fills);
  Stream stream = open_device(common);
  const std::string precision = resolved_precision(o.precision, stream);
  Locator locator(o.weights, stream, {.compute = precision_of(precision, stream)});
  if (!o.out.empty())
    o.ranks->lead([&] {
      make_folder(o.out);
      check_fills_file(o.out + "/fills.json");
    });
  const double threshold = o.threshold.value_or(locator.threshold());
  Progress bar("eval", int64_t(pictures.size()));
  const auto advance = [&] {
    bar.advance();
    TT_CHECK(!interrupted(), Error, "stopped before the end");
  };
  size_t refused = 0;
  const auto skip = [&](const std::string& why) {
    ++refused;
    clear_progress_line();
    spdlog::warn("skipped {}", why);
  };
  const std::vector<FillFinding> findings = look_at_fills(locator, pictures, o.fills_quality, advance, skip, *o.ranks);
  if (!o.ranks->leads()) return 0;
  const FillScores scores = score_fills(findings, threshold);
  clear_progress_line();
  std::printf(
      "%s\nJPEG quality %d; %lld originals and %lld cameras; at probability %g %.1f %% of the cameras and "
      "%.1f %% of the originals are called fake\n",
      to_markdown(fill_table(scores)).c_str(), o.fills_quality, static_cast<long long>(scores.originals),
      static_cast<long long>(scores.cameras), threshold, 100 * scores.camera_alarms, 100 * scores.original_alarms);
  std::fflush(stdout);
  const int code = tell_skipped(o, refused, pictures.size());
  if (o.out.empty()) return code;
  nlohmann::ordered_json j = to_json(scores);
  j["jpeg_quality"] = o.fills_quality;
  j["precision_of_activations"] = precision;
  j["weights"] = {{"path", o.weights}, {"sha256", locator.weights_sha256()}};
  j["command"] = common.command;
  j["device"] = stream.description();
  j["machine"] = machine_description();
  if (refused > 0) j["skipped"] = refused;
  write_atomically(o.out + "/fills.json", json_text(j, 2) + "\n");
  return code;
}

/// Whether a file is what --calibrate writes.
bool is_calibrated(const std::string& path) {
  try {
    return calibration_in(path, WeightsFile::open(path).metadata()).has_value();
  } catch (const DataError&) {  // no weights at all
    return false;
  }
}

/// Fits what makes a probability of a locator's map, and writes its weights with it.
int calibrate_weights(const Settings& o, const CommonOptions& common) {
  const std::vector<Split> splits = splits_of(o.split);
  TT_CHECK(o.split != name_of(Split::train), UsageError,
           "--calibrate on what was trained on would be too sure of itself: give --split validation or test, or all "
           "where none of it was trained on");
  check_weights_ending(o.calibrate);
  check_output("--calibrate", o.calibrate, {o.weights});
  TT_CHECK(!std::filesystem::is_regular_file(o.calibrate) || is_calibrated(o.calibrate), UsageError, "--calibrate ",
           o.calibrate, ": is there already, and --calibrate did not write it; name another file");
  const WeightsFile file = WeightsFile::open(o.weights);
  std::vector<Dataset> datasets{open_data(o, o.data)};
  for (const std::string& more : o.besides) datasets.push_back(open_data(o, more));
  size_t pictures = 0, skipped = 0;
  std::vector<std::vector<int>> rows;
  for (const Dataset& dataset : datasets) {
    const std::vector<int> all = dataset.rows(splits);
    pictures += all.size();
    rows.push_back(readable(o, dataset, all, /*masks=*/true, skipped));
  }
  Stream stream = open_device(common);
  const DType compute = precision_of(resolved_precision(o.precision, stream), stream);
  Locator locator(o.weights, stream, Locator::Settings{.compute = compute});
  Progress bar("eval", int64_t(pictures - skipped));
  std::vector<ScoredMap> maps;
  LogitCounts counts;
  for (size_t i = 0; i < datasets.size(); ++i) {
    const auto after_batch = [&](int count) {
      bar.advance(count);
      TT_CHECK(!interrupted(), Error, "stopped; nothing was written to ", o.calibrate);
    };
    const Located located = predict(locator, datasets[i], rows[i], o.workers, after_batch, {}, *o.ranks);
    maps.insert(maps.end(), located.maps.begin(), located.maps.end());
    counts.add(located.counts);
  }
  if (!o.ranks->leads()) return 0;
  Calibration c = calibrate(maps, o.false_alarms, o.misses);
  c.pixels = counts.fitted();
  write_calibrated(o.calibrate, file, c);
  clear_progress_line();
  std::printf("%s", to_markdown(calibration_table(c)).c_str());
  std::printf(
      "\nFitted on %lld fakes and %lld reals of split %s. Held out of the fit in fives: expected calibration error "
      "%.4f, "
      "before %.4f; fake from %.4f on (at most %g %% of the reals), real below %.4f (at most %g %% of the fakes). "
      "A pixel's probability, for its reliability: sigmoid(%.3f · logit %+.3f)\n",
      static_cast<long long>(c.fakes), static_cast<long long>(c.reals), o.split.c_str(), c.error_after, c.error_before,
      c.threshold, 100 * c.false_alarms, c.real_below, 100 * o.misses, c.pixels.scale, c.pixels.bias);
  std::fflush(stdout);
  return tell_skipped(o, skipped, pictures);
}

int evaluate_any(const Settings& o, const CommonOptions& common) {
  TT_CHECK(o.data.empty() != o.fills.empty(), UsageError, "give one of --data and --fills");
  TT_CHECK(o.calibrate.empty() || !o.data.empty(), UsageError, "--calibrate is fitted on --data");
  TT_CHECK(o.painters.empty() || !o.data.empty(), UsageError, "--painters chooses among the fakes of --data");
  TT_CHECK(o.besides.empty() || !o.calibrate.empty(), UsageError, "--besides goes with --calibrate");
  TT_CHECK((o.page.empty() && !o.robustness) || (o.calibrate.empty() && o.fills.empty()), UsageError,
           "--report and --robustness tell of --data, and not of --fills or --calibrate");
  TT_CHECK(o.out.empty() || o.calibrate.empty(), UsageError, "--calibrate writes weights alone: leave --out out");
  if (!o.calibrate.empty()) return calibrate_weights(o, common);
  if (!o.fills.empty()) return evaluate_fills(o, common);
  TT_CHECK(!o.out.empty(), UsageError, "--data needs --out, a folder for the report");
  return evaluate_weights(o, common);
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  Settings o;
  const auto setup = [&](CLI::App& app) {
    app.add_option("--data", o.data, "dataset folder");
    app.add_option("--fills", o.fills,
                   "instead: a folder of other generators' fills (fake, real, mask, camera, fills.tsv, camera.tsv)");
    app.add_option("--fills-quality", o.fills_quality, "JPEG quality at which those are saved once more")
        ->check(CLI::Range(1, 100))
        ->capture_default_str();
    app.add_option("--weights", o.weights, "a detector's or a locator's weights, such as best.safetensors of a run")
        ->required();
    app.add_option("--out", o.out, "folder for report.json, predictions.csv and pictures, or fills.json");
    app.add_option("--report", o.page, "a file to write, NAME.html: every picture, curves and how it came about");
    app.add_option("--report-mb", o.page_mb, "how large its pictures may be, all together; more get smaller")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    app.add_flag("--robustness", o.robustness,
                 "also measure after saving again, scaling, cropping, filtering: a table, robustness.csv and .png");
    app.add_option("--robustness-images", o.robustness_pictures, "at most so many, evenly from the split")
        ->check(CLI::Range(2, 1'000'000))
        ->capture_default_str();
    app.add_option("--split", o.split, "train, validation, test or all")->capture_default_str();
    app.add_option("--painters", o.painters, "PAINTER,…: judge by the fakes of these alone, and by all reals")
        ->delimiter(',');
    app.add_option("--threshold", o.threshold,
                   "probability from which an image is called fake; left out: as a locator was calibrated, else 0.5");
    app.add_option("--calibrate", o.calibrate,
                   "instead of a report: fit a locator's probability on the split and write its weights with it here");
    app.add_option("--besides", o.besides, "further datasets, of any size, that --calibrate is fitted on, too");
    app.add_option("--misses", o.misses, "share of the fakes that --calibrate lets be called real")
        ->check(CLI::Range(0.0001, 0.9999))
        ->capture_default_str();
    app.add_option("--false-alarms", o.false_alarms, "share of the reals that --calibrate lets be called fake")
        ->capture_default_str();
    app.add_option("--batch", o.batch, "images at a time")->check(CLI::Range(1, 4096))->capture_default_str();
    app.add_option("--precision", o.precision,
                   "of activations; auto: bf16 where the processor is faster in it, else f32")
        ->check(CLI::IsMember({"auto", "f32", "tf32", "bf16", "f16"}))
        ->capture_default_str();
    app.add_option("--workers", o.workers, "decoding threads; 0: one per core")->check(CLI::Range(0, 1024));
    add_rank_timeout(app, o.rank_timeout);
  };
  return run_tool({"eval", "Measures a detector or a locator on a split of a dataset, or a locator on fills."}, argc,
                  argv, setup, [&](const CommonOptions& common) {
                    const double threshold = o.threshold.value_or(0.5);
                    TT_CHECK(threshold > 0 && threshold < 1, UsageError, "--threshold ", threshold,
                             ": expected a probability between 0 and 1");
                    TT_CHECK(o.false_alarms > 0 && o.false_alarms < 1, UsageError, "--false-alarms ", o.false_alarms,
                             ": expected a share between 0 and 1");
                    return in_ranks(o.rank_timeout, [&](Ranks& ranks) {
                      o.ranks = &ranks;
                      return evaluate_any(o, common);
                    });
                  });
}
