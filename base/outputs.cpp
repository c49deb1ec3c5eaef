#include "base/outputs.h"

#include <algorithm>
#include <filesystem>

#include "base/check.h"

namespace telltale {

namespace {

namespace fs = std::filesystem;

fs::path resolved(const std::string& path) {
  std::error_code error;
  const fs::path found = fs::weakly_canonical(path, error);
  if (error) return fs::path(path).lexically_normal();
  return found.has_filename() ? found : found.parent_path();  // "folder/" is "folder"
}

}  // namespace

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error) && !error) return true;
  return resolved(a) == resolved(b);
}

bool lies_in(const std::string& path, const std::string& folder) {
  const fs::path inner = resolved(path), outer = resolved(folder);
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

void check_output(const std::string& option, const std::string& output, const std::vector<std::string>& inputs) {
  std::error_code error;
  const fs::path path(output);
  TT_CHECK(!fs::is_directory(path, error), DataError, option, " ", output, ": is a folder; name a file");
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  TT_CHECK(fs::is_directory(folder, error), DataError, option, " ", output, ": there is no folder ", folder.string());
  for (const std::string& input : inputs)
    TT_CHECK(!same_file(output, input), UsageError, option, " ", output, ": would overwrite ", input,
             ", which is read; name another file");
}

std::string first_content(const std::string& folder) {
  std::string first;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name[0] == '.' || name == "Thumbs.db" || name == "desktop.ini") continue;
    if (first.empty() || name < first) first = name;
  }
  return first;
}

}  // namespace telltale
