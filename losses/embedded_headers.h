#pragma once
// The headers a loss file may include, carried by every program.
#include "base/embedded_file.h"

namespace telltale {

/// Written by base/embed.cmake while building; paths are as in #include "path".
std::span<const EmbeddedFile> embedded_headers();

}  // namespace telltale
