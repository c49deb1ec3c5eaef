#pragma once
// Result lines, and what is said beside them.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/atomic_file.h"
#include "data/image.h"

namespace telltale {

/// Result lines, to stdout as they come or to a file that appears whole at the end.
class Output {
 public:
  /// "-" is stdout.
  explicit Output(const std::string& path);
  void line(const nlohmann::ordered_json& object);
  /// The line of a picture that could not be read, and a warning.
  void error(const std::string& path, const std::string& text);
  void commit();

 private:
  std::optional<AtomicFile> file_;
};

/// A warning that leaves no progress line standing.
void warn(const std::string& line);
void warn(const Remarks& lines);
/// Milliseconds as result lines have them.
double rounded_ms(double ms);

}  // namespace telltale
