#include "tools/infer/output.h"

#include <cmath>
#include <cstdio>

#include "base/check.h"
#include "base/json_text.h"
#include "base/log.h"

namespace telltale {

Output::Output(const std::string& path) {
  if (path != "-") file_.emplace(path);
}

void Output::line(const nlohmann::ordered_json& object) {
  const std::string text = json_text(object) + "\n";
  if (file_) return file_->write(text);
  clear_progress_line();
  const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  TT_CHECK(written, DataError, "cannot write to standard output");
}

void Output::error(const std::string& path, const std::string& text) {
  warn(text);
  line({{"path", path}, {"error", text}});
}

void Output::commit() {
  if (file_) file_->commit();
}

void warn(const std::string& line) {
  clear_progress_line();
  spdlog::warn("{}", line);
}

void warn(const Remarks& lines) {
  for (const std::string& line : lines) warn(line);
}

double rounded_ms(double ms) { return std::round(ms * 100) / 100; }

}  // namespace telltale
