#pragma once
// The weights that come with the programs.
#include <string>

namespace telltale {

/// The path of the weights `name` that came with this program: from its own folder up, links followed, the first that
/// has weights/`name`, as the source tree does, or share/telltale/weights/`name`, as an installation does. Throws
/// UsageError when none has it, naming the file, every folder that was looked in, and the option to give instead.
std::string shipped_weights(const std::string& name, const std::string& option);

}  // namespace telltale
