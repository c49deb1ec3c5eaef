#pragma once
// How far a long loop is: one rewritten line on a terminal, a plain line every ten seconds elsewhere.
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace telltale {

/// "synth 120/400 images  3.1/s  1m30s left". Writes to stderr; silent after set_up_log(…, quiet). Safe from several
/// threads.
class Progress {
 public:
  /// `done` were finished earlier (a continued run): they count, but not in the rate.
  Progress(std::string what, int64_t total, std::string unit = "images", int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Counts n more; `note` (a loss, say) is shown behind the numbers.
  void advance(int64_t n = 1, const std::string& note = "");
  /// Per second since construction, without `done`.
  double rate() const;
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  void draw();
  std::string what_, unit_, note_;
  int64_t total_, done_, first_;
  Clock::time_point start_ = Clock::now(), drawn_ = start_;
  bool terminal_, silent_;
  std::mutex mutex_;
};

/// "45s", "3m20s", "2h05m".
std::string duration(double seconds);

}  // namespace telltale
