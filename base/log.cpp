#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <cstdio>

namespace telltale {

void set_up_log(const std::string& tool, bool quiet) {
  auto logger = std::make_shared<spdlog::logger>(tool, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  // On a terminal a log line first erases the progress line, which draws itself again.
  logger->set_pattern((isatty(STDERR_FILENO) ? "\r\033[K" : "") + tool + ": %v");
  logger->set_level(quiet ? spdlog::level::warn : spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void clear_progress_line() {
  if (isatty(STDERR_FILENO)) std::fputs("\r\033[K", stderr);
}

}  // namespace telltale
