#pragma once
#include <cstdint>
#include <string_view>

namespace telltale {

/// FNV-1a, 64 bits: a stable number from an id, to key random draws with. Not for untrusted collisions.
constexpr uint64_t fnv1a(std::string_view text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char c : text) h = (h ^ uint8_t(c)) * 0x100000001b3u;
  return h;
}

}  // namespace telltale
