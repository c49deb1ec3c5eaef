#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "base/log.h"

namespace telltale {

std::string duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  const auto s = int64_t(std::lround(seconds));
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
}

Progress::Progress(std::string what, int64_t total, std::string unit, int64_t done)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      done_(done),
      first_(done),
      terminal_(isatty(STDERR_FILENO)),
      silent_(!spdlog::should_log(spdlog::level::info)) {}

Progress::~Progress() {
  if (!silent_ && terminal_) clear_progress_line();
}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

double Progress::rate() const {
  const double s = seconds();
  return s > 0 ? double(done_ - first_) / s : 0;
}

void Progress::advance(int64_t n, const std::string& note) {
  const std::lock_guard lock(mutex_);
  done_ += n;
  note_ = note;
  if (silent_) return;
  const auto now = Clock::now();
  const auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
  if (now - drawn_ < pause) return;
  drawn_ = now;
  draw();
}

void Progress::draw() {
  const double r = rate();
  std::string line = fmt::format("{} {}/{} {}  {:.{}f}/s  {} left", what_, done_, total_, unit_, r, r < 10 ? 2 : 0,
                                 r > 0 ? duration(double(total_ - done_) / r) : "?");
  if (!note_.empty()) line += "  " + note_;
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
  } else {
    spdlog::info(line);
  }
}

}  // namespace telltale
