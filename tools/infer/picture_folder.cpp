#include "tools/infer/picture_folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/check.h"
#include "base/outputs.h"
#include "data/codec.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

/// A name that a full disk or a kill cut short is nobody's.
void drop_torn_line(const std::string& list) {
  const auto bytes = read_file(list);
  const auto last = std::find(bytes.rbegin(), bytes.rend(), '\n');
  std::error_code ignored;
  if (last != bytes.rbegin()) fs::resize_file(list, size_t(bytes.rend() - last), ignored);
}

std::string stem_of(const std::string& path) { return fs::path(path).stem().string(); }

}  // namespace

PictureFolder::PictureFolder(std::string option, const std::string& folder, std::string ending,
                             const std::vector<std::string>& arguments, const std::vector<std::string>& paths)
    : option_(std::move(option)), folder_(folder), ending_(std::move(ending)) {
  std::error_code error, ignored;
  for (const std::string& argument : arguments)
    TT_CHECK(!fs::is_directory(argument, error) || !same_file(argument, folder), UsageError, option_, " ", folder,
             ": is the folder of the photographs; name another");
  fs::create_directories(folder, error);
  TT_CHECK(fs::is_directory(folder, ignored), DataError, folder, ": cannot make this folder: ", error.message());
  std::ifstream list(list_path());
  for (std::string name; std::getline(list, name);) {
    torn_ = list.eof();
    if (!torn_) ours_.insert(name);
  }

  std::map<std::string, int> copies;
  for (const std::string& path : paths) {
    const std::string stem = stem_of(path), name = name_of_copy(stem, ++copies[stem]);
    TT_CHECK(ours_.contains(name) || !fs::exists(fs::symlink_status(folder + "/" + name, error)), UsageError, option_,
             " ", folder, ": holds ", name, ", which infer did not write there; name another folder");
  }
}

std::string PictureFolder::place(const std::string& path) {
  const std::string stem = stem_of(path);
  std::string name;
  for (int copy = 1; name.empty() || taken_.contains(name); ++copy) name = name_of_copy(stem, copy);
  taken_.insert(name);
  note(name);
  return folder_ + "/" + name;
}

std::string PictureFolder::name_of_copy(const std::string& stem, int copy) const {
  return copy < 2 ? stem + ending_ : cat(stem, "_", copy, ending_);
}

/// Before the picture: a run that is killed between the two must be able to replace it.
void PictureFolder::note(const std::string& name) {
  if (ours_.contains(name)) return;
  if (torn_ && fs::exists(list_path())) drop_torn_line(list_path());
  std::ofstream list(list_path(), std::ios::app | std::ios::binary);
  list << name << '\n' << std::flush;
  torn_ = !list;
  TT_CHECK(list, DataError, list_path(), ": cannot write: is the disk full?");
  ours_.insert(name);
}

}  // namespace telltale
