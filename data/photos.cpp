#include "data/photos.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <unordered_map>

#include "base/check.h"
#include "base/hash.h"

namespace telltale {

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 12> kRead{".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp",
                                                 ".bmp", ".gif",  ".pnm", ".ppm",  ".pgm", ".tga"};
constexpr std::array<std::string_view, 12> kPictures{".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl",
                                                     ".jp2", ".dng",  ".cr2",  ".nef",  ".arw",  ".raw"};

std::string lower_ending(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = char(std::tolower(static_cast<unsigned char>(c)));
  return ending;
}

bool is_one_of(std::span<const std::string_view> endings, std::string_view ending) {
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

/// Walks a folder; every trouble below it becomes a line.
class Walk {
 public:
  explicit Walk(const std::vector<std::string>& passed_over) {
    std::error_code error;
    for (const std::string& path : passed_over) {
      if (path.empty()) continue;
      fs::path resolved = fs::weakly_canonical(path, error);
      if (!resolved.has_filename()) resolved = resolved.parent_path();  // "folder/" is "folder"
      names_.insert(resolved.filename());
      passed_over_.insert(std::move(resolved));
    }
  }

  void into(const fs::path& folder, bool is_root) {
    std::error_code error;
    fs::directory_iterator it(folder, error);
    for (const fs::directory_iterator end; !error && it != end; it.increment(error)) look_at(*it);
    if (!error) return;
    const std::string line = cat(folder.string(), ": cannot list the folder: ", error.message());
    if (is_root) throw DataError(line);
    files.unreadable.push_back(line);
  }

  void finish(const std::string& folder) {
    std::sort(paths_.begin(), paths_.end());
    for (const fs::path& path : paths_) files.paths.push_back(path.string());
    if (links_ > 0)
      files.remarks.push_back(
          cat(folder, ": ", links_, " link(s) to folders are not followed; name them to include them"));
    for (const auto& [ending, count] : unread_)
      files.remarks.push_back(cat(folder, ": ", count, " ", ending, " file(s) passed over: this kind is not read"));
    for (const std::string& path : no_files_) files.remarks.push_back(cat(path, ": passed over: not a file"));
  }

  PhotoFiles files;

 private:
  void look_at(const fs::directory_entry& entry) {
    const fs::path& path = entry.path();
    std::error_code error;
    if (path.filename().string()[0] == '.') return;
    // By name first: most paths need not be resolved.
    if (names_.contains(path.filename()) && passed_over_.contains(fs::weakly_canonical(path, error))) return;
    const fs::file_status status = entry.status(error);  // of what a link leads to
    if (status.type() == fs::file_type::directory) {
      if (entry.is_symlink(error))
        ++links_;
      else
        into(path, false);
      return;
    }
    const std::string ending = lower_ending(path);
    if (is_one_of(kRead, ending)) {
      const bool leads_nowhere = status.type() == fs::file_type::none || status.type() == fs::file_type::not_found;
      if (leads_nowhere || status.type() == fs::file_type::regular)
        paths_.push_back(path);
      else
        no_files_.push_back(path.string());
    } else if (is_one_of(kPictures, ending)) {
      ++unread_[ending];
    }
  }

  std::set<fs::path> passed_over_, names_;
  std::vector<fs::path> paths_;
  std::vector<std::string> no_files_;
  std::map<std::string, int> unread_;
  int links_ = 0;
};

/// A stem that can name a file with an ending and a temporary one beside it, and stand in a table.
std::string usable(const std::string& stem) {
  constexpr size_t kLongest = 200, kKept = 150;
  std::string id = stem;
  for (char& c : id)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\' || c == '/') c = '_';
  if (id == stem && id.size() <= kLongest) return id;
  size_t kept = std::min(id.size(), kKept);
  while (kept > 0 && kept < id.size() && (id[kept] & 0xc0) == 0x80) --kept;  // not inside a character
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(fnv1a(stem)));
  return cat(id.substr(0, kept), "-", digits);
}

/// With more and more of the path: the stem; folders and stem; folders, stem and ending.
std::string id_of(const fs::path& below, int level) {
  if (level == 0) return photo_id(below.string());
  std::string id;
  for (const fs::path& part : below.parent_path()) id += part.string() + "_";
  id += below.stem().string();
  if (level > 1) id += "_" + below.extension().string().substr(1);
  return usable(id);
}

}  // namespace

PhotoFiles find_photos(const std::string& folder, const std::vector<std::string>& passed_over) {
  Walk walk(passed_over);
  walk.into(folder, true);
  walk.finish(folder);
  return std::move(walk.files);
}

std::string photo_id(const std::string& path) {
  const std::string stem = fs::path(path).stem().string();
  if (!stem.starts_with("Places365_")) return usable(stem);
  const std::string digits = stem.substr(stem.rfind('_') + 1);
  const bool all =
      !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  return usable(all ? digits : stem);
}

std::vector<Photo> with_ids(const std::string& folder, const std::vector<std::string>& paths) {
  constexpr int kLevels = 3;
  std::vector<Photo> photos;
  std::vector<int> levels(paths.size(), 0);
  photos.reserve(paths.size());
  for (const std::string& path : paths) photos.push_back({photo_id(path), path});
  for (bool again = true; again;) {
    again = false;
    std::unordered_map<std::string, std::vector<size_t>> sharing;
    for (size_t i = 0; i < photos.size(); ++i) sharing[photos[i].id].push_back(i);
    for (const auto& [id, members] : sharing) {
      if (members.size() == 1) continue;
      bool longer = false;
      for (const size_t i : members) {
        if (levels[i] + 1 == kLevels) continue;
        photos[i].id = id_of(fs::path(photos[i].path).lexically_relative(folder), ++levels[i]);
        longer = true;
      }
      TT_CHECK(longer, DataError, photos[members[0]].path, " and ", photos[members[1]].path, " have the same id '", id,
               "': rename one");
      again = true;
    }
  }
  return photos;
}

std::vector<Photo> list_photos(const std::string& folder, const std::vector<std::string>& passed_over,
                               Remarks* remarks) {
  const PhotoFiles files = find_photos(folder, passed_over);
  if (remarks)
    for (const Remarks& lines : {files.unreadable, files.remarks})
      remarks->insert(remarks->end(), lines.begin(), lines.end());
  TT_CHECK(!files.paths.empty(), DataError, folder,
           ": no photographs (.jpg, .jpeg, .png, .webp, .bmp, .gif …) in this folder");
  return with_ids(folder, files.paths);
}

}  // namespace telltale
