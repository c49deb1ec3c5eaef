// infer with a locator: pictures of any size, one after another.
#include <chrono>
#include <future>
#include <new>
#include <optional>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/task_pool.h"
#include "data/no_memory.h"
#include "models/device.h"
#include "models/device_check.h"
#include "models/locator/inspection.h"
#include "models/locator/overlay.h"
#include "tools/infer/output.h"
#include "tools/infer/picture_folder.h"
#include "tools/infer/report.h"
#include "tools/infer/tasks.h"

namespace telltale {
namespace {

/// One file, decoded, or why it was not.
struct Input {
  Photograph photo;
  std::string error;
  double ms = 0;
};

Input read_input(const std::string& path) {
  const auto start = std::chrono::steady_clock::now();
  Input in{.photo = {.name = path, .image = {}, .remarks = {}}, .error = {}};
  try {
    in.photo = read_photograph(path);
  } catch (const DataError& e) {
    in.error = e.what();
  } catch (const std::bad_alloc&) {
    in.error = no_memory_for(path);
  }
  in.ms = 1e3 * seconds_since(start);
  return in;
}

class Location {
 public:
  Location(const InferSettings& s, const std::vector<std::string>& paths, Locator& locator)
      : locator_(locator), output_(s.json) {
    if (!s.report.empty()) page_.emplace(s, paths.size());
    settings_.threshold = s.threshold;
    if (!s.annotations.empty()) annotations_.emplace("--annotate", s.annotations, ".jpg", s.paths, paths);
    if (!s.masks.empty()) masks_.emplace("--masks", s.masks, ".png", s.paths, paths);
  }

  /// Returns how many files could not be read or drawn. A picture is decoded while the one before is looked at; no more
  /// of them are in memory.
  int run(const std::vector<std::string>& paths) {
    Progress progress("looked at", int64_t(paths.size()));
    TaskPool reader(1);
    const auto read = [&](size_t i) { return reader.submit([path = paths[i]] { return read_input(path); }); };
    std::future<Input> ahead = read(0);
    for (size_t i = 0; i < paths.size(); ++i) {
      Input in = ahead.get();
      if (i + 1 < paths.size()) ahead = read(i + 1);
      TT_CHECK(!interrupted(), Error, "stopped before the end");
      if (in.error.empty()) {
        report(in);
      } else {
        report_error(in.photo.name, in.error);
      }
      progress.advance();
    }
    output_.commit();
    return failed_;
  }
  void write_report(const Stream& stream) const {
    if (page_) page_->write(settings_.threshold.value_or(locator_.threshold()), locator_.weights_sha256(), stream);
  }

 private:
  void report_error(const std::string& path, const std::string& why) {
    ++failed_;
    output_.error(path, why);
    if (page_) page_->add_unread(path, why);
  }

  void report(Input& in) {
    const std::string& path = in.photo.name;
    const auto start = std::chrono::steady_clock::now();
    Inspection said;
    try {
      said = inspect(locator_, in.photo, settings_);
    } catch (const std::bad_alloc&) {
      return report_error(path, no_memory_for(path));
    }
    const double ms = in.ms + 1e3 * seconds_since(start);
    nlohmann::ordered_json line{{"path", path}};
    line.update(to_json(said));
    if (masks_)
      draw(path, "mask", [&] {
        const std::string file = masks_->place(path);
        write_png(file, mask_of(said.map));
        line["mask"] = file;
      });
    line["weights_sha256"] = locator_.weights_sha256();
    line["ms"] = rounded_ms(ms);
    output_.line(line);
    warn(in.photo.remarks);
    if (page_) page_->add(in.photo, said);
    if (annotations_)
      draw(path, "annotated picture", [&] {
        annotate(in.photo.image, said);
        write_jpeg(annotations_->place(path), in.photo.image, kAnnotatedQuality);
      });
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

  Locator& locator_;
  InspectionSettings settings_;
  Output output_;
  std::optional<PictureFolder> annotations_, masks_;
  std::optional<InferReport> page_;
  int failed_ = 0;
};

}  // namespace

int locate(const InferSettings& s, const NamedImages& named, Stream& stream) {
  Locator locator(s.weights, stream, {.compute = precision_of(resolved_precision(s.precision, stream), stream)});
  Location location(s, named.paths, locator);
  const int failed = location.run(named.paths);
  location.write_report(stream);
  return failed;
}

int check_locator(const InferSettings& s, const std::vector<std::string>& paths, Stream& stream) {
  Stream second = other_device(stream);
  const Locator::Settings settings{.compute = precision_of(s.precision, stream)};
  Locator a(s.weights, stream, settings), b(s.weights, second, settings);
  for (const std::string& path : paths) {
    const Input in = read_input(path);
    if (!in.error.empty()) continue;
    for (Locator* locator : {&a, &b}) locator->look(in.photo.image);
    const double tolerance = check_tolerance(settings.compute, s.precision == "tf32");
    return report_check(compare_programs(a.program(), b.program(), {}, {}, tolerance), stream, second);
  }
  throw DataError(cat("none of ", paths.size(), " files could be read"));
}

}  // namespace telltale
