// infer with a detector: batches of shrunk pictures.
#include <algorithm>
#include <chrono>
#include <map>
#include <new>
#include <thread>

#include "base/clock.h"
#include "base/double_buffer.h"
#include "base/task_pool.h"
#include "data/codec.h"
#include "data/no_memory.h"
#include "data/png.h"
#include "models/detector/annotate.h"
#include "models/detector/explanation.h"
#include "models/device.h"
#include "models/device_check.h"
#include "tools/infer/looked.h"
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
  Inference(const InferSettings& s, const std::vector<std::string>& paths, Detector& detector, Stream& stream,
            const InferReport* page)
      : s_(s), paths_(paths), detector_(detector), page_(page), groups_(stream.is_cuda(), [this](size_t item) {
          return enqueue(item);
        }) {
    if (s.explain) explainer_.emplace(detector, stream);
  }

  /// Groups of a batch that are decoded before their turn.
  size_t groups_ahead() const { return 2 + size_t(pool_.threads()) / group(); }

  std::vector<Looked> look(size_t item, std::span<const size_t> upcoming) {
    read(item);
    for (const size_t next : upcoming.first(std::min(upcoming.size(), groups_ahead()))) read(next);
    return groups_(item, upcoming);
  }

 private:
  size_t group() const { return size_t(detector_.batch()); }
  void read(size_t item) {
    if (ahead_.contains(item)) return;
    std::vector<std::future<Input>>& inputs = ahead_[item];
    for (size_t i = item * group(); i < std::min(paths_.size(), (item + 1) * group()); ++i)
      inputs.push_back(
          pool_.submit([path = paths_[i], size = detector_.image_size()] { return read_input(path, size); }));
  }

  /// A group on its way through the net.
  struct Asked {
    std::vector<Input> inputs;
    int readable = 0;             ///< of the inputs
    std::vector<uint8_t> pixels;  ///< of those, where they are wanted again
    Detector::Answer answer;      ///< none where none was readable
    double seconds = 0;           ///< that enqueueing took: on the host the net's
  };

  std::function<std::vector<Looked>()> enqueue(size_t item) {
    Asked asked;
    for (std::future<Input>& input : ahead_.at(item)) asked.inputs.push_back(input.get());
    ahead_.erase(item);
    for (Input& in : asked.inputs) {
      asked.pixels.insert(asked.pixels.end(), in.seen.rgb.begin(), in.seen.rgb.end());
      in.seen = {};
      asked.readable += in.error.empty();
    }
    const auto start = std::chrono::steady_clock::now();
    if (asked.readable) asked.answer = detector_.enqueue(asked.pixels, asked.readable);
    asked.seconds = seconds_since(start);
    if (!explainer_) asked.pixels = {};
    return [this, asked = std::move(asked)]() mutable { return looked(asked); };
  }

  std::vector<Looked> looked(Asked& asked) {
    const int readable = asked.readable;
    const auto start = std::chrono::steady_clock::now();
    const auto verdicts = readable ? asked.answer() : std::vector<Verdict>{};
    const auto maps = explainer_ && readable ? explainer_->look(asked.pixels, readable) : std::vector<HeatMap>{};
    const double share = readable ? 1e3 * (asked.seconds + seconds_since(start)) / double(readable) : 0;
    std::vector<Looked> all;
    size_t next = 0;
    for (Input& in : asked.inputs) {
      in.ms += share;
      if (in.error.empty()) {
        all.push_back(looked(in, verdicts[next], explainer_ ? &maps[next] : nullptr));
        ++next;
      } else {
        all.push_back({.path = in.path, .error = in.error, .remarks = {}, .line = {}});
      }
    }
    return all;
  }

  /// `heat`: where the net looked; null: not asked.
  Looked looked(const Input& in, const Verdict& v, const HeatMap* heat) const {
    const double probability = v.fake_probability();
    const bool fake = probability >= s_.threshold.value_or(0.5);
    const Box b = v.pixel_box(in.width, in.height);
    Looked l{.path = in.path, .error = {}, .remarks = in.remarks, .line = {}};
    l.line = {{"path", in.path}, {"width", in.width}, {"height", in.height}, {"fake_probability", probability}};
    l.line["box"] = fake ? nlohmann::ordered_json{b.x_min, b.y_min, b.x_max, b.y_max} : nlohmann::ordered_json(nullptr);
    l.line["raw"] = v.raw;
    l.ms = in.ms;
    if (!s_.masks.empty())
      l.mask = Drawn::from([&] {
        const Grey mask = mask_of(*heat, in.width, in.height);
        return encode_png(mask.pixels.data(), mask.width, mask.height, 1);
      });
    if (page_ || !s_.annotations.empty())
      l.annotated = Drawn::from([&] { return shown(in.path, {fake, probability, b, heat}, l); });
    return l;
  }

  /// The annotated picture, where one is asked for; and what the page shows, into `l`.
  std::vector<uint8_t> shown(const std::string& path, const Said& said, Looked& l) const {
    Image image = read_image(path);  // again, rather than keeping every large picture of a batch
    if (page_) l.shown = page_->item(path, image, said);
    if (s_.annotations.empty()) return {};
    if (said.heat) draw_heat(image, *said.heat);
    annotate(image, said.fake, said.probability, said.box);
    return encode_jpeg(image, kAnnotatedQuality);
  }

  const InferSettings& s_;
  const std::vector<std::string>& paths_;
  Detector& detector_;
  const InferReport* page_;
  std::optional<Explainer> explainer_;
  DoubleBuffer<std::vector<Looked>> groups_;
  std::map<size_t, std::vector<std::future<Input>>> ahead_;  ///< by group
  TaskPool pool_{int(std::clamp(std::thread::hardware_concurrency(), 1u, 16u))};
};

}  // namespace

int detect(const InferSettings& s, const NamedImages& named, Stream& stream) {
  TT_CHECK(s.masks.empty() || s.explain, UsageError, "--masks: ", s.weights,
           " is a detector, which has no map; give a locator, or --explain for where the detector looked");
  const int batch = int(std::min(named.paths.size(), size_t(s.batch)));
  Detector detector(s.weights, stream,
                    {.batch = batch, .compute = precision_of(resolved_precision(s.precision, stream), stream)});
  Results results(s, named.paths);
  Inference inference(s, named.paths, detector, stream, results.page());
  const int failed = results.collect(
      named.paths.size(), size_t(detector.batch()), inference.groups_ahead(),
      [&](size_t item, std::span<const size_t> upcoming) { return inference.look(item, upcoming); },
      detector.weights_sha256());
  results.write_report(s.threshold.value_or(0.5), detector.weights_sha256(), stream);
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
