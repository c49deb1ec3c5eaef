#include "base/choice.h"

#include "base/check.h"

namespace telltale {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

nlohmann::json parse_value(const std::string& text) {
  const nlohmann::json value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_number() || value.is_boolean() ? value : nlohmann::json(text);
}

Choice parse_choice(const std::string& text, const std::string& where) {
  const std::vector<std::string> parts = split(text, ':');
  Choice choice{text, parts[0]};
  TT_CHECK(!choice.name.empty(), UsageError, where, " ", text, ": expected a name, or NAME:SETTING=VALUE");
  for (size_t i = 1; i < parts.size(); ++i) {
    const size_t at = parts[i].find('=');
    TT_CHECK(at != std::string::npos && at > 0 && at + 1 < parts[i].size(), UsageError, where, " ", text, ": \"",
             parts[i], "\" is not SETTING=VALUE");
    choice.values.emplace_back(parts[i].substr(0, at), parse_value(parts[i].substr(at + 1)));
  }
  return choice;
}

}  // namespace telltale
