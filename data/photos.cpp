#include "data/photos.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <unordered_map>

#include "base/check.h"

namespace telltale {

namespace fs = std::filesystem;

namespace {

bool is_photo(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = char(std::tolower(static_cast<unsigned char>(c)));
  return (ending == ".jpg" || ending == ".jpeg" || ending == ".png") && path.filename().string()[0] != '.';
}

}  // namespace

std::string photo_id(const std::string& path) {
  std::string stem = fs::path(path).stem().string();
  if (!stem.starts_with("Places365_")) return stem;
  const std::string digits = stem.substr(stem.rfind('_') + 1);
  const bool all =
      !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  return all ? digits : stem;
}

std::vector<Photo> list_photos(const std::string& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const bool hidden = it->path().filename().string()[0] == '.';
    if (hidden && it->is_directory()) it.disable_recursion_pending();
    if (is_photo(it->path()) && it->is_regular_file()) paths.push_back(it->path());
  }
  TT_CHECK(!error, DataError, folder, ": cannot list the folder: ", error.message());
  TT_CHECK(!paths.empty(), DataError, folder, ": no photographs (.jpg, .jpeg or .png) in this folder");
  std::sort(paths.begin(), paths.end());
  std::vector<Photo> photos;
  std::unordered_map<std::string, size_t> seen;
  for (const fs::path& path : paths) {
    photos.push_back({photo_id(path.string()), path.string()});
    const auto [first, fresh] = seen.emplace(photos.back().id, photos.size() - 1);
    TT_CHECK(fresh, DataError, photos[first->second].path, " and ", path.string(), " have the same id '",
             photos.back().id, "': rename one");
  }
  return photos;
}

}  // namespace telltale
