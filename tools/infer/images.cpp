#include "tools/infer/images.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/check.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

bool is_photograph(const fs::directory_entry& entry) {
  std::string ending = entry.path().extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  const bool hidden = entry.path().filename().string()[0] == '.';
  return !hidden && entry.is_regular_file() && (ending == ".jpg" || ending == ".jpeg" || ending == ".png");
}

/// Unlike data/photos.h, two files may share a name here: paths, not ids, are what infer reports.
std::vector<std::string> photographs_under(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (is_photograph(entry)) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  TT_CHECK(!paths.empty(), DataError, folder, ": no .jpg, .jpeg or .png in this folder");
  return paths;
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  const int rc = ::glob(pattern.c_str(), 0, nullptr, &found);
  const std::unique_ptr<glob_t, void (*)(glob_t*)> release(&found, ::globfree);
  TT_CHECK(rc == 0, DataError, pattern, ": no file matches");
  return {found.gl_pathv, found.gl_pathv + found.gl_pathc};
}

}  // namespace

std::vector<std::string> images_named(const std::vector<std::string>& arguments) {
  std::vector<std::string> paths;
  for (const std::string& argument : arguments) {
    const bool pattern = argument.find_first_of("*?[") != std::string::npos && !fs::exists(argument);
    for (const std::string& path : pattern ? matches(argument) : std::vector<std::string>{argument}) {
      if (!fs::is_directory(path)) {
        paths.push_back(path);
        continue;
      }
      const auto inside = photographs_under(path);
      paths.insert(paths.end(), inside.begin(), inside.end());
    }
  }
  return paths;
}

}  // namespace telltale
