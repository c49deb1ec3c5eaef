#pragma once
// What a user may choose several of: a name with values of its own.
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace telltale {

/// "giou", or "alpha_iou:power=2:beta=5".
struct Choice {
  std::string text, name;
  std::vector<std::pair<std::string, nlohmann::json>> values = {};  ///< numbers, true, false, or text, in that order
};
/// Throws UsageError, beginning with `where`, on an empty name or a value without "=".
Choice parse_choice(const std::string& text, const std::string& where);
/// A number, true or false where the text is one, else the text.
nlohmann::json parse_value(const std::string& text);
/// The parts between separators, empty ones included.
std::vector<std::string> split(const std::string& text, char separator);

}  // namespace telltale
