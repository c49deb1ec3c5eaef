#include "tools/infer/images.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/check.h"
#include "data/photos.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

void append(Remarks& to, const Remarks& lines) { to.insert(to.end(), lines.begin(), lines.end()); }

/// Unlike ids, two files may share a name here: paths are what infer reports.
void add_folder(NamedImages& named, const std::string& folder, const std::vector<std::string>& passed_over) {
  try {
    PhotoFiles files = find_photos(folder, passed_over);
    std::sort(files.paths.begin(), files.paths.end());
    if (files.paths.empty()) named.unreadable.push_back(cat(folder, ": no photographs in this folder"));
    named.paths.insert(named.paths.end(), files.paths.begin(), files.paths.end());
    append(named.unreadable, files.unreadable);
    append(named.remarks, files.remarks);
  } catch (const DataError& e) {
    named.unreadable.push_back(e.what());
  }
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  const int rc = ::glob(pattern.c_str(), 0, nullptr, &found);
  const std::unique_ptr<glob_t, void (*)(glob_t*)> release(&found, ::globfree);
  if (rc != 0) return {};
  return {found.gl_pathv, found.gl_pathv + found.gl_pathc};
}

}  // namespace

NamedImages images_named(const std::vector<std::string>& arguments, const std::vector<std::string>& passed_over) {
  NamedImages named;
  std::error_code error;  // a name too long, a folder not to be entered: reported when the file is read
  for (const std::string& argument : arguments) {
    const bool pattern = argument.find_first_of("*?[") != std::string::npos && !fs::exists(argument, error);
    const auto paths = pattern ? matches(argument) : std::vector<std::string>{argument};
    if (paths.empty()) named.unreadable.push_back(cat(argument, ": no file matches"));
    for (const std::string& path : paths) {
      if (fs::is_directory(path, error))
        add_folder(named, path, passed_over);
      else
        named.paths.push_back(path);
    }
  }
  if (named.paths.empty()) throw DataError(named.unreadable.empty() ? "no files given" : named.unreadable.front());
  return named;
}

}  // namespace telltale
