#pragma once
#include <string>

namespace telltale {

/// What is said of a picture for which the memory does not suffice: it costs that picture, not the run.
inline std::string no_memory_for(const std::string& name) {
  return name + ": there is not enough memory for this picture; shrink it";
}

}  // namespace telltale
