#pragma once
// The weights that come with the programs.
#include <string>

namespace telltale {

/// The path of weights/`name` in the tree this program was built or installed in: the nearest folder above the
/// program's own that has it. Throws UsageError when there is none, naming the file and the option to give instead.
std::string shipped_weights(const std::string& name, const std::string& option);

}  // namespace telltale
