#pragma once
// Values as bytes for another process of the same program: JSON in CBOR, with numbers as they lie in memory.
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace telltale {

using Packed = nlohmann::ordered_json;

inline std::string bytes_of(const Packed& values) {
  std::string bytes;
  Packed::to_cbor(values, bytes);
  return bytes;
}
inline Packed unpacked(const std::string& bytes) { return Packed::from_cbor(bytes); }

template <class T>
Packed packed(const std::vector<T>& values) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return Packed::binary(std::move(bytes));
}
template <class T>
std::vector<T> values_in(const Packed& p) {
  const std::vector<uint8_t>& bytes = p.get_binary();
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

/// Texts of any bytes.
inline Packed packed(const std::vector<std::string>& texts) {
  Packed all = Packed::array();
  for (const std::string& text : texts) all.push_back(packed(std::vector<char>(text.begin(), text.end())));
  return all;
}
inline std::vector<std::string> texts_in(const Packed& p) {
  std::vector<std::string> texts;
  for (const Packed& text : p) {
    const std::vector<char> bytes = values_in<char>(text);
    texts.emplace_back(bytes.begin(), bytes.end());
  }
  return texts;
}

}  // namespace telltale
