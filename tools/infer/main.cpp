// infer: files in, a verdict a line out.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/outputs.h"
#include "base/progress.h"
#include "base/task_pool.h"
#include "data/codec.h"
#include "models/detector/annotate.h"
#include "models/detector/detector.h"
#include "models/device.h"
#include "models/device_check.h"
#include "tools/infer/annotations.h"
#include "tools/infer/images.h"

namespace telltale {
namespace {

struct InferSettings {
  std::vector<std::string> paths;
  std::string weights, json = "-", annotations, precision = "f32";
  double threshold = 0.5;
  int batch = 8;
  bool check = false;
};

/// One file, decoded and as the net sees it.
struct Input {
  std::string path, error;
  Remarks remarks;
  int width = 0, height = 0;
  Image seen;  ///< the whole picture at the net's size
  double ms = 0;
};

Input read_input(const std::string& path, int size) {
  const auto start = std::chrono::steady_clock::now();
  Input in{.path = path, .error = {}, .remarks = {}, .seen = {}};
  try {
    Image image = read_image(path, &in.remarks);
    in.width = image.width;
    in.height = image.height;
    in.seen =
        image.width == size && image.height == size ? std::move(image) : resize(image, size, size, Filter::bilinear);
  } catch (const DataError& e) {
    in.error = e.what();
  }
  in.ms = 1e3 * seconds_since(start);
  return in;
}

/// Result lines, to stdout as they come or to a file that appears whole at the end.
class Output {
 public:
  explicit Output(const std::string& path) {
    if (path != "-") file_.emplace(path);
  }
  void line(const nlohmann::ordered_json& object) {
    const std::string text = json_text(object) + "\n";
    if (file_) return file_->write(text);
    clear_progress_line();
    const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
    TT_CHECK(written, DataError, "cannot write to standard output");
  }
  void commit() {
    if (file_) file_->commit();
  }

 private:
  std::optional<AtomicFile> file_;
};

class Inference {
 public:
  Inference(const InferSettings& s, Detector& detector, TaskPool& pool, std::optional<Annotations>& annotations)
      : s_(s), detector_(detector), pool_(pool), annotations_(annotations), output_(s.json) {}

  /// Returns how many files could not be read or annotated.
  int run(const std::vector<std::string>& paths) {
    Progress progress("looked at", int64_t(paths.size()));
    std::deque<std::future<Input>> ahead;
    const size_t enough = size_t(2 * detector_.batch() + pool_.threads());
    size_t next = 0;
    while (next < paths.size() || !ahead.empty()) {
      TT_CHECK(!interrupted(), Error, "stopped before the end");
      for (; next < paths.size() && ahead.size() < enough; ++next)
        ahead.push_back(
            pool_.submit([path = paths[next], size = detector_.image_size()] { return read_input(path, size); }));
      batch_.push_back(ahead.front().get());
      ahead.pop_front();
      readable_ += batch_.back().error.empty();
      if (readable_ == size_t(detector_.batch()) || ahead.empty()) {
        const auto count = int64_t(batch_.size());
        flush();
        progress.advance(count);
      }
    }
    output_.commit();
    return failed_;
  }

 private:
  void flush() {
    std::vector<uint8_t> pixels;
    for (const Input& in : batch_) pixels.insert(pixels.end(), in.seen.rgb.begin(), in.seen.rgb.end());
    const auto start = std::chrono::steady_clock::now();
    const auto verdicts = readable_ ? detector_.run(pixels, int(readable_)) : std::vector<Verdict>{};
    const double share = readable_ ? 1e3 * seconds_since(start) / double(readable_) : 0;
    auto verdict = verdicts.begin();
    for (Input& in : batch_) {
      in.ms += share;
      in.error.empty() ? report(in, *verdict++) : report_error(in);
    }
    batch_.clear();
    readable_ = 0;
  }

  void report(const Input& in, const Verdict& v) {
    const double probability = v.fake_probability();
    const bool fake = probability >= s_.threshold;
    const Box b = v.pixel_box(in.width, in.height);
    nlohmann::ordered_json line{
        {"path", in.path}, {"width", in.width}, {"height", in.height}, {"fake_probability", probability}};
    line["box"] = fake ? nlohmann::ordered_json{b.x_min, b.y_min, b.x_max, b.y_max} : nlohmann::ordered_json(nullptr);
    line["raw"] = v.raw;
    line["weights_sha256"] = detector_.weights_sha256();
    line["ms"] = std::round(in.ms * 100) / 100;
    output_.line(line);
    for (const std::string& remark : in.remarks) warn(remark);
    if (annotations_) write_annotated(in.path, fake, probability, b);
  }

  /// What goes wrong here costs this picture alone.
  void write_annotated(const std::string& path, bool fake, double probability, const Box& box) {
    try {
      Image image = read_image(path);  // again, rather than keeping every large picture of a batch
      annotate(image, fake, probability, box);
      annotations_->write(path, image);
    } catch (const DataError& e) {
      ++failed_;
      warn(cat(path, ": not annotated: ", e.what()));
    }
  }

  static void warn(const std::string& line) {
    clear_progress_line();
    spdlog::warn("{}", line);
  }

  void report_error(const Input& in) {
    ++failed_;
    warn(in.error);
    output_.line({{"path", in.path}, {"error", in.error}});
  }

  const InferSettings& s_;
  Detector& detector_;
  TaskPool& pool_;
  std::optional<Annotations>& annotations_;
  Output output_;
  std::vector<Input> batch_;
  size_t readable_ = 0;
  int failed_ = 0;
};

void add_options(CLI::App& app, InferSettings& s) {
  app.add_option("PATH", s.paths, "pictures (JPEG, PNG, WebP …), folders (subfolders included), patterns")->required();
  app.add_option("--weights", s.weights, "a detector's weights, as train wrote them")->required();
  app.add_option("--json", s.json, "where the result lines go; - is standard output")->capture_default_str();
  app.add_option("--annotate", s.annotations, "folder for copies with box and probability drawn in");
  app.add_option("--threshold", s.threshold, "probability from which an image counts as fake")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_flag("--check", s.check,
               "no verdicts: run the first images on this device and on another, and name the first node that differs");
  app.add_option("--precision", s.precision,
                 "of activations; auto: bf16 where the processor is faster in it, else f32; tf32 on CUDA only")
      ->check(CLI::IsMember({"auto", "f32", "tf32", "bf16", "f16"}))
      ->capture_default_str();
  app.add_option("--batch", s.batch, "images at once")->check(CLI::Range(1, 4096))->capture_default_str();
}

/// --check: the first readable images through the net on both devices. Returns the exit code.
int check(const InferSettings& s, const std::vector<std::string>& paths, Stream& stream) {
  Stream second = other_device(stream);
  // Both run the nodes that the GPU has.
  const Detector::Settings settings{.batch = int(std::min(paths.size(), size_t(s.batch))),
                                    .compute = precision_of(s.precision, stream),
                                    .stems = stream.is_cuda() || second.is_cuda()};
  Detector a(s.weights, stream, settings), b(s.weights, second, settings);
  std::vector<uint8_t> pixels;
  int count = 0;
  for (const std::string& path : paths) {
    const Input in = read_input(path, a.image_size());
    if (!in.error.empty()) continue;
    pixels.insert(pixels.end(), in.seen.rgb.begin(), in.seen.rgb.end());
    if (++count == a.batch()) break;
  }
  TT_CHECK(count > 0, DataError, "none of ", paths.size(), " files could be read");
  for (Detector* d : {&a, &b}) d->run(pixels, count);
  const double tolerance = check_tolerance(settings.compute, s.precision == "tf32");
  return report_check(compare_programs(a.program(), b.program(), {}, {}, tolerance), stream, second);
}

int infer(const InferSettings& s, const CommonOptions& common) {
  const NamedImages named = images_named(s.paths, s.annotations);
  const std::vector<std::string>& paths = named.paths;
  for (const Remarks& lines : {named.unreadable, named.remarks})
    for (const std::string& line : lines) spdlog::warn("{}", line);
  std::vector<std::string> inputs = paths;
  inputs.push_back(s.weights);
  if (s.json != "-") check_output("--json", s.json, inputs);
  Stream stream = open_device(common);
  if (s.check) return check(s, paths, stream);
  std::optional<Annotations> annotations;
  if (!s.annotations.empty()) annotations.emplace(s.annotations, s.paths, paths);
  const int batch = int(std::min(paths.size(), size_t(s.batch)));
  Detector detector(s.weights, stream,
                    {.batch = batch, .compute = precision_of(resolved_precision(s.precision, stream), stream)});
  TaskPool pool(int(std::clamp(std::thread::hardware_concurrency(), 1u, 16u)));
  const int failed = Inference(s, detector, pool, annotations).run(paths) + int(named.unreadable.size());
  if (failed == 0) return 0;
  spdlog::error("{} of {} files could not be read or annotated", failed, paths.size() + named.unreadable.size());
  return 1;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  InferSettings settings;
  return run_tool(
      {"infer", "Say of each image whether a region of it was painted, and which."}, argc, argv,
      [&](CLI::App& app) { add_options(app, settings); },
      [&](const CommonOptions& common) { return infer(settings, common); });
}
