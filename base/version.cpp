#include "base/version.h"

#include <map>

#include "base/check.h"
#include "base/processor.h"

namespace telltale {
namespace {

std::map<std::string, std::string (*)()>& lines() {
  static std::map<std::string, std::string (*)()> added;
  return added;
}

#if defined(__clang__)
constexpr const char* kCompiler = "Clang " __clang_version__;
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif

}  // namespace

bool add_version_line(const std::string& name, std::string (*found)()) {
  lines()[name] = found;
  return true;
}

std::string version_text(const std::string& program) {
  std::string text = cat(program, " (Telltale) ", TT_VERSION, "\ncommit: ", TT_COMMIT, "\ncompiler: ", kCompiler,
                         " for ", TT_TARGET, "\nprocessor: ", processor_name(), ": ", processor_features());
  for (const auto& [name, found] : lines()) text += "\n" + name + ": " + found();
  return text;
}

}  // namespace telltale
