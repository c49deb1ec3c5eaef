#pragma once
// The headers a loss file may include, carried by every program: neither build nor source tree needs to be there.
#include <span>

namespace telltale {

struct EmbeddedHeader {
  const char* path;  ///< as in #include "path"
  const char* text;
};
/// Written by embed_headers.cmake while building.
std::span<const EmbeddedHeader> embedded_headers();

}  // namespace telltale
