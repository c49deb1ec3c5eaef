// infer with a detector: batches of shrunk pictures.
#include <algorithm>
#include <chrono>
#include <deque>
#include <new>
#include <thread>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/task_pool.h"
#include "data/codec.h"
#include "data/no_memory.h"
#include "models/detector/annotate.h"
#include "models/detector/explanation.h"
#include "models/device.h"
#include "models/device_check.h"
#include "tools/infer/output.h"
#include "tools/infer/picture_folder.h"
#include "tools/infer/report.h"
#include "tools/infer/tasks.h"

namespace telltale {
namespace {

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
  } catch (const std::bad_alloc&) {
    in.error = no_memory_for(path);
  }
  in.ms = 1e3 * seconds_since(start);
  return in;
}

class Inference {
 public:
  Inference(const InferSettings& s, const std::vector<std::string>& paths, Detector& detector, TaskPool& pool,
            Stream& stream)
      : s_(s), detector_(detector), pool_(pool), output_(s.json) {
    if (!s.annotations.empty()) annotations_.emplace("--annotate", s.annotations, ".jpg", s.paths, paths);
    if (!s.masks.empty()) masks_.emplace("--masks", s.masks, ".png", s.paths, paths);
    if (!s.report.empty()) page_.emplace(s, paths.size());
    if (s.explain) explainer_.emplace(detector, stream);
  }

  /// Returns how many files could not be read or annotated.
  int run(const std::vector<std::string>& paths) {
    Progress progress("looked at", int64_t(paths.size()));
    std::deque<std::future<Input>> ahead;
    const size_t enough = 2 * size_t(detector_.batch()) + size_t(pool_.threads());
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
  void write_report(const Stream& stream) const {
    if (page_) page_->write(s_.threshold.value_or(0.5), detector_.weights_sha256(), stream);
  }

 private:
  void flush() {
    std::vector<uint8_t> pixels;
    for (const Input& in : batch_) pixels.insert(pixels.end(), in.seen.rgb.begin(), in.seen.rgb.end());
    const auto start = std::chrono::steady_clock::now();
    const auto verdicts = readable_ ? detector_.run(pixels, int(readable_)) : std::vector<Verdict>{};
    const auto maps = explainer_ && readable_ ? explainer_->look(pixels, int(readable_)) : std::vector<HeatMap>{};
    const double share = readable_ ? 1e3 * seconds_since(start) / double(readable_) : 0;
    size_t next = 0;
    for (Input& in : batch_) {
      in.ms += share;
      if (in.error.empty()) {
        report(in, verdicts[next], explainer_ ? &maps[next] : nullptr);
        ++next;
      } else {
        report_error(in);
      }
    }
    batch_.clear();
    readable_ = 0;
  }

  /// `heat`: where the net looked; null: not asked.
  void report(const Input& in, const Verdict& v, const HeatMap* heat) {
    const double probability = v.fake_probability();
    const bool fake = probability >= s_.threshold.value_or(0.5);
    const Box b = v.pixel_box(in.width, in.height);
    nlohmann::ordered_json line{
        {"path", in.path}, {"width", in.width}, {"height", in.height}, {"fake_probability", probability}};
    line["box"] = fake ? nlohmann::ordered_json{b.x_min, b.y_min, b.x_max, b.y_max} : nlohmann::ordered_json(nullptr);
    line["raw"] = v.raw;
    if (masks_)
      draw(in.path, "mask", [&] {
        const std::string file = masks_->place(in.path);
        write_png(file, mask_of(*heat, in.width, in.height));
        line["mask"] = file;
      });
    line["weights_sha256"] = detector_.weights_sha256();
    line["ms"] = rounded_ms(in.ms);
    output_.line(line);
    warn(in.remarks);
    if (annotations_ || page_) draw(in.path, "annotated picture", [&] { show(in.path, {fake, probability, b, heat}); });
  }

  void show(const std::string& path, const Said& said) {
    Image image = read_image(path);  // again, rather than keeping every large picture of a batch
    if (page_) page_->add(path, image, said);
    if (!annotations_) return;
    if (said.heat) draw_heat(image, *said.heat);
    annotate(image, said.fake, said.probability, said.box);
    write_jpeg(annotations_->place(path), image, kAnnotatedQuality);
  }

  /// What goes wrong here costs this picture alone.
  template <class F>
  void draw(const std::string& path, const char* what, F body) {
    try {
      body();
    } catch (const DataError& e) {
      ++failed_;
      warn(cat(path, ": no ", what, ": ", e.what()));
    }
  }

  void report_error(const Input& in) {
    ++failed_;
    output_.error(in.path, in.error);
    if (page_) page_->add_unread(in.path, in.error);
  }

  const InferSettings& s_;
  Detector& detector_;
  TaskPool& pool_;
  Output output_;
  std::optional<PictureFolder> annotations_, masks_;
  std::optional<InferReport> page_;
  std::optional<Explainer> explainer_;
  std::vector<Input> batch_;
  size_t readable_ = 0;
  int failed_ = 0;
};

}  // namespace

int detect(const InferSettings& s, const NamedImages& named, Stream& stream) {
  TT_CHECK(s.masks.empty() || s.explain, UsageError, "--masks: ", s.weights,
           " is a detector, which has no map; give a locator, or --explain for where the detector looked");
  const int batch = int(std::min(named.paths.size(), size_t(s.batch)));
  Detector detector(s.weights, stream,
                    {.batch = batch, .compute = precision_of(resolved_precision(s.precision, stream), stream)});
  TaskPool pool(int(std::clamp(std::thread::hardware_concurrency(), 1u, 16u)));
  Inference inference(s, named.paths, detector, pool, stream);
  const int failed = inference.run(named.paths);
  inference.write_report(stream);
  return failed;
}

int check_detector(const InferSettings& s, const std::vector<std::string>& paths, Stream& stream) {
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

}  // namespace telltale
