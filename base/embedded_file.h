#pragma once
// Files of the source tree that programs carry: neither build nor source tree needs to be there when they run.
#include <span>

namespace telltale {

struct EmbeddedFile {
  const char* path;  ///< below the source folder
  const char* text;
};

}  // namespace telltale
