// infer with a locator: pictures of any size, one after another.
#include <chrono>
#include <future>
#include <new>
#include <optional>

#include "base/clock.h"
#include "base/task_pool.h"
#include "data/codec.h"
#include "data/no_memory.h"
#include "data/png.h"
#include "models/device.h"
#include "models/device_check.h"
#include "models/locator/inspection.h"
#include "models/locator/overlay.h"
#include "tools/infer/looked.h"
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
  Location(const InferSettings& s, Locator& locator, const InferReport* page) : s_(s), locator_(locator), page_(page) {
    settings_.threshold = s.threshold;
  }

  /// A picture is decoded while the one before is looked at; no more of them are in memory.
  Looked look(const std::vector<std::string>& paths, size_t item, std::span<const size_t> upcoming) {
    const auto read = [&](size_t i) { return reader_.submit([path = paths[i]] { return read_input(path); }); };
    if (!ahead_ || ahead_->first != item) ahead_.emplace(item, read(item));
    Input in = ahead_->second.get();
    ahead_.reset();
    if (!upcoming.empty()) ahead_.emplace(upcoming[0], read(upcoming[0]));
    if (!in.error.empty()) return {.path = in.photo.name, .error = in.error, .remarks = {}, .line = {}};
    return looked(in);
  }
  double threshold() const { return settings_.threshold.value_or(locator_.threshold()); }

 private:
  Looked looked(Input& in) {
    Looked l{.path = in.photo.name, .error = {}, .remarks = in.photo.remarks, .line = {{"path", in.photo.name}}};
    const auto start = std::chrono::steady_clock::now();
    Inspection said;
    try {
      said = inspect(locator_, in.photo, settings_);
    } catch (const std::bad_alloc&) {
      l.error = no_memory_for(l.path);
      return l;
    }
    l.ms = in.ms + 1e3 * seconds_since(start);
    l.line.update(to_json(said));
    if (!s_.masks.empty())
      l.mask = Drawn::from([&] {
        const Grey mask = mask_of(said.map);
        return encode_png(mask.pixels.data(), mask.width, mask.height, 1);
      });
    if (page_) l.shown = page_->item(in.photo, said);
    if (!s_.annotations.empty())
      l.annotated = Drawn::from([&] {
        annotate(in.photo.image, said);
        return encode_jpeg(in.photo.image, kAnnotatedQuality);
      });
    return l;
  }

  const InferSettings& s_;
  Locator& locator_;
  const InferReport* page_;
  InspectionSettings settings_;
  std::optional<std::pair<size_t, std::future<Input>>> ahead_;
  TaskPool reader_{1};  ///< last: its tasks end before what they fill
};

}  // namespace

int locate(const InferSettings& s, const NamedImages& named, Stream& stream) {
  Locator locator(s.weights, stream, {.compute = precision_of(resolved_precision(s.precision, stream), stream)});
  Results results(s, named.paths);
  Location location(s, locator, results.page());
  const int failed = results.collect(
      named.paths.size(), 1, 1,
      [&](size_t item, std::span<const size_t> upcoming) {
        std::vector<Looked> one;
        one.push_back(location.look(named.paths, item, upcoming));
        return one;
      },
      locator.weights_sha256());
  results.write_report(location.threshold(), locator.weights_sha256(), stream);
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
