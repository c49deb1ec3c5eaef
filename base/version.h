#pragma once
// What a program is made of, for --version.
#include <string>

namespace telltale {

/// Adds a line "NAME: FOUND" to every version_text. `found` looks when it is asked and must not throw. The result is
/// true, so that a room can say this where it starts: `const bool said = add_version_line(…)`.
bool add_version_line(const std::string& name, std::string (*found)());
/// "PROGRAM (Telltale) 0.1.0", the commit it was configured from, compiler, processor, and the lines that were added,
/// by name. No newline at the end.
std::string version_text(const std::string& program);

}  // namespace telltale
