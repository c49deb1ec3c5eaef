#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace telltale {

/// JSON as text, indented by so many spaces (-1: one line). A text that is no UTF-8, as a path may be, has U+FFFD in
/// place of what is none.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace telltale
