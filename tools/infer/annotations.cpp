#include "tools/infer/annotations.h"

#include <filesystem>
#include <fstream>
#include <map>

#include "base/check.h"
#include "base/outputs.h"
#include "data/codec.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

constexpr int kQuality = 92;

std::string name_of_copy(const std::string& stem, int copy) {
  return copy < 2 ? stem + ".jpg" : cat(stem, "_", copy, ".jpg");
}

std::string stem_of(const std::string& path) { return fs::path(path).stem().string(); }

}  // namespace

Annotations::Annotations(const std::string& folder, const std::vector<std::string>& arguments,
                         const std::vector<std::string>& paths)
    : folder_(folder) {
  std::error_code error;
  for (const std::string& argument : arguments)
    TT_CHECK(!fs::is_directory(argument, error) || !same_file(argument, folder), UsageError, "--annotate ", folder,
             ": is the folder of the photographs; name another");
  fs::create_directories(folder, error);
  TT_CHECK(fs::is_directory(folder, error), DataError, folder, ": cannot make this folder: ", error.message());
  std::ifstream list(list_path());
  for (std::string name; std::getline(list, name);) ours_.insert(name);

  std::map<std::string, int> copies;
  for (const std::string& path : paths) {
    const std::string stem = stem_of(path), name = name_of_copy(stem, ++copies[stem]);
    TT_CHECK(ours_.contains(name) || !fs::exists(fs::symlink_status(folder + "/" + name, error)), UsageError,
             "--annotate ", folder, ": holds ", name, ", which infer did not write there; name another folder");
  }
}

void Annotations::write(const std::string& path, const Image& image) {
  const std::string stem = stem_of(path);
  std::string name;
  for (int copy = 1; name.empty() || taken_.contains(name); ++copy) name = name_of_copy(stem, copy);
  taken_.insert(name);
  note(name);
  write_jpeg(folder_ + "/" + name, image, kQuality);
}

/// Before the picture: a run that is killed between the two must be able to replace it.
void Annotations::note(const std::string& name) {
  if (!ours_.insert(name).second) return;
  std::ofstream list(list_path(), std::ios::app | std::ios::binary);
  list << name << '\n' << std::flush;
  TT_CHECK(list, DataError, list_path(), ": cannot write: is the disk full?");
}

}  // namespace telltale
