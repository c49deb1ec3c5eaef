#pragma once
// Words as a POSIX shell reads them.
#include <string>

namespace telltale {

/// The word in single quotes, whatever it holds; left as it is where no character of it means anything to a shell.
std::string shell_word(const std::string& word);

}  // namespace telltale
