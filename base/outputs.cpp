#include "base/outputs.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/check.h"

namespace telltale {

namespace {

namespace fs = std::filesystem;

fs::path resolved(const std::string& path) {
  std::error_code error;
  // Absolute first: of a relative path of which nothing is there, nothing would be resolved.
  const fs::path found = fs::weakly_canonical(fs::absolute(path, error), error);
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

void check_text_output(const std::string& option, const std::string& output, const std::vector<std::string>& inputs) {
  check_output(option, output, inputs);
  std::error_code error;
  if (!fs::is_regular_file(output, error)) return;
  std::string start(4096, ' ');
  std::ifstream(output, std::ios::binary).read(start.data(), std::streamsize(start.size()));
  TT_CHECK(start.find('\0') == start.npos, UsageError, option, " ", output,
           ": is there already and is no text, so it is not of this option; name another file");
}

void check_output_folder(const std::string& option, const std::string& folder) {
  std::error_code error;
  fs::path there = fs::absolute(folder, error).lexically_normal();
  while (!fs::exists(fs::symlink_status(there, error)) && there.has_relative_path()) there = there.parent_path();
  TT_CHECK(fs::is_directory(there, error), DataError, option, " ", folder, ": ", there.string(), " is no folder");
  TT_CHECK(::access(there.c_str(), W_OK | X_OK) == 0, DataError, option, " ", folder, ": cannot be made in ",
           there.string(), ": ", std::strerror(errno));
}

void check_apart(const std::string& option, const std::string& output, const std::string& other_option,
                 const std::string& other) {
  std::error_code error;
  if (fs::exists(output, error) && !fs::is_regular_file(output, error)) return;
  TT_CHECK(!same_file(output, other), UsageError, option, " ", output, ": ", other_option,
           " writes that file, too; name another");
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
