#pragma once
// Log lines go to stderr through spdlog ("NAME: text"), results to stdout. Use spdlog::info / warn / error.
#include <spdlog/spdlog.h>

#include <string>

namespace telltale {

/// Makes spdlog's default logger write "NAME: text" lines to stderr; quiet drops those below warning.
void set_up_log(const std::string& tool, bool quiet);
/// Erases a progress line standing on the terminal, so that what is printed next stands alone.
void clear_progress_line();

}  // namespace telltale
