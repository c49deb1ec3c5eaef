#pragma once
// One net, one thread that asks it, and a line of pictures that wait for it.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "models/detector/detector.h"
#include "models/locator/inspection.h"

namespace telltale {

struct InspectorSettings {
  std::string weights, precision = "f32";
  std::optional<double> threshold;   ///< as in InspectionSettings
  int batch = 8;                     ///< pictures at once through a detector
  int queue = 32;                    ///< pictures that may wait
  int64_t most_pixels = 50'000'000;  ///< of a picture
  double patience_seconds = 30;      ///< a picture that waited longer is not looked at
};

/// What became of a picture: an HTTP status, and the answer or {error: text}.
struct Answered {
  int status = 200;
  nlohmann::ordered_json json;
};

/// Decodes and looks at pictures, in the order they came; those that wait go through a detector together.
class Inspector {
 public:
  /// Throws as Detector and Locator do. The stream must outlive it.
  Inspector(const InspectorSettings&, Stream&);
  /// Ends the thread; what waits gets status 503.
  ~Inspector();
  Inspector(const Inspector&) = delete;
  Inspector& operator=(const Inspector&) = delete;

  /// Puts a file's bytes into the line; `name` is what the answer calls it, `layers` whether it carries a map. Never
  /// throws for a picture: too many waiting is 503, waited too long 503, no picture 422, too many pixels 413.
  std::future<Answered> submit(std::string bytes, std::string name, bool layers);

  /// kind (locator or detector), net, weights' path and SHA-256, threshold, metadata, limits.
  nlohmann::ordered_json model() const;
  int waiting() const { return waiting_; }
  int64_t looked_at() const { return looked_at_; }
  /// Seconds spent decoding and looking.
  double busy_seconds() const { return busy_seconds_; }

 private:
  struct Job {
    std::string bytes, name;
    bool layers = false;
    std::chrono::steady_clock::time_point came;
    std::promise<Answered> answer;
  };
  void work();
  void serve(std::vector<Job>& jobs);
  Photograph decode(const Job&) const;
  nlohmann::ordered_json located(const Job&, const Photograph&);
  void detect(std::vector<Job>& jobs, const std::vector<Photograph>& photos);

  InspectorSettings settings_;
  std::optional<Locator> locator_;
  std::optional<Detector> detector_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> line_;
  bool stopping_ = false;
  std::atomic<int> waiting_ = 0;
  std::atomic<int64_t> looked_at_ = 0;
  std::atomic<double> busy_seconds_ = 0;
  std::thread thread_;
};

}  // namespace telltale
