#include "tools/serve/inspector.h"

#include <cmath>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/log.h"
#include "data/jpeg.h"
#include "data/picture_size.h"
#include "models/device.h"
#include "models/report/evaluation_page.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

/// The longer side of the map in an answer: enough for a screen.
constexpr int kMapSide = 1024;

Answered refused(int status, const std::string& text) { return {status, {{"error", text}}}; }

struct TooLarge : DataError {
  using DataError::DataError;
};

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

Inspector::Inspector(const InspectorSettings& settings, Stream& stream) : settings_(settings) {
  const DType compute = precision_of(resolved_precision(settings.precision, stream), stream);
  if (is_locator(WeightsFile::open(settings.weights).metadata()))
    locator_.emplace(settings.weights, stream, Locator::Settings{.compute = compute});
  else
    detector_.emplace(settings.weights, stream, Detector::Settings{.batch = settings.batch, .compute = compute});
  thread_ = std::thread([this] { work(); });
}

Inspector::~Inspector() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  for (Job& job : line_) job.answer.set_value(refused(503, "the server is stopping"));
}

std::future<Answered> Inspector::submit(std::string bytes, std::string name, bool layers) {
  Job job{std::move(bytes), std::move(name), layers, std::chrono::steady_clock::now(), {}};
  std::future<Answered> answer = job.answer.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || line_.size() >= size_t(settings_.queue)) {
      job.answer.set_value(refused(503, cat(settings_.queue, " pictures wait already; try again in a moment")));
      return answer;
    }
    line_.push_back(std::move(job));
    waiting_ = int(line_.size());
  }
  wake_.notify_one();
  return answer;
}

void Inspector::work() {
  while (true) {
    std::vector<Job> jobs;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !line_.empty(); });
      if (stopping_) return;
      for (size_t most = detector_ ? size_t(settings_.batch) : 1; most > 0 && !line_.empty(); --most) {
        jobs.push_back(std::move(line_.front()));
        line_.pop_front();
      }
      waiting_ = int(line_.size());
    }
    serve(jobs);
  }
}

void Inspector::serve(std::vector<Job>& jobs) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<Job> readable;
  std::vector<Photograph> photos;
  for (Job& job : jobs) {
    try {
      if (seconds_since(job.came) > settings_.patience_seconds) {
        job.answer.set_value(refused(503, "it waited too long; try again"));
        continue;
      }
      photos.push_back(decode(job));
      readable.push_back(std::move(job));
    } catch (const TooLarge& e) {
      job.answer.set_value(refused(413, e.what()));
    } catch (const DataError& e) {
      job.answer.set_value(refused(422, e.what()));
    } catch (const std::bad_alloc&) {
      job.answer.set_value(refused(503, "no memory for it now"));
    }
  }
  // What goes wrong here is the net's fault, not the picture's; the next ones may still go well.
  size_t answered = 0;
  try {
    if (locator_ && !readable.empty()) {
      readable[0].answer.set_value({200, located(readable[0], photos[0])});
      answered = 1;
    } else if (!readable.empty()) {
      detect(readable, photos);
      answered = readable.size();
    }
  } catch (const std::exception& e) {
    spdlog::error("{}", e.what());
    for (; answered < readable.size(); ++answered) readable[answered].answer.set_value(refused(500, e.what()));
  }
  looked_at_ += int64_t(readable.size());
  busy_seconds_ = busy_seconds_ + seconds_since(start);
}

Photograph Inspector::decode(const Job& job) const {
  const auto bytes = bytes_of(job.bytes);
  const PictureSize size = picture_size(bytes, job.name);
  if (size.width * size.height > settings_.most_pixels)
    throw TooLarge(cat(job.name, ": ", size.width, "x", size.height, " is more than the ", settings_.most_pixels,
                       " pixels that are looked at here; shrink it first"));
  return decode_photograph(bytes, job.name);
}

ordered_json Inspector::located(const Job& job, const Photograph& photo) {
  const Inspection said = inspect(*locator_, photo, {.threshold = settings_.threshold});
  ordered_json json{{"name", job.name}};
  json.update(to_json(said));
  if (!photo.remarks.empty()) json["remarks"] = photo.remarks;
  json["weights_sha256"] = locator_->weights_sha256();
  if (!job.layers) return json;
  const PageMap map = page_map(said.map);
  const std::vector<uint8_t> png = layers_png(&map, nullptr, kMapSide);
  json["layers"] = base64(png);
  return json;
}

void Inspector::detect(std::vector<Job>& jobs, const std::vector<Photograph>& photos) {
  const int size = detector_->image_size();
  std::vector<uint8_t> pixels;
  for (const Photograph& photo : photos) {
    const Image seen = resize(photo.image, size, size, Filter::bilinear);
    pixels.insert(pixels.end(), seen.rgb.begin(), seen.rgb.end());
  }
  const std::vector<Verdict> verdicts = detector_->run(pixels, int(photos.size()));
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Image& image = photos[i].image;
    const double probability = verdicts[i].fake_probability();
    const bool fake = probability >= settings_.threshold.value_or(0.5);
    const Box b = verdicts[i].pixel_box(image.width, image.height);
    ordered_json json{{"name", jobs[i].name},
                      {"width", image.width},
                      {"height", image.height},
                      {"fake_probability", probability},
                      {"verdict", fake ? "fake" : "real"}};
    json["box"] = fake ? ordered_json{b.x_min, b.y_min, b.x_max, b.y_max} : ordered_json();
    if (!photos[i].remarks.empty()) json["remarks"] = photos[i].remarks;
    json["weights_sha256"] = detector_->weights_sha256();
    jobs[i].answer.set_value({200, std::move(json)});
  }
}

ordered_json Inspector::model() const {
  ordered_json json{{"kind", locator_ ? "locator" : "detector"},
                    {"net", locator_ ? locator_->info().net : detector_->info().net}};
  json["threshold"] = settings_.threshold.value_or(locator_ ? locator_->threshold() : 0.5);
  json["weights"] =
      weights_card(settings_.weights, locator_ ? locator_->weights_sha256() : detector_->weights_sha256());
  json["weights"].erase("path");  // a path tells strangers about the machine
  json["limits"] = {{"pixels", settings_.most_pixels}, {"waiting", settings_.queue}};
  return json;
}

}  // namespace telltale
