#include "losses/loss_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/log.h"
#include "base/regular_file.h"
#include "base/sha256.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSeal = "telltale";
constexpr size_t kDigest = 64;  // hexadecimal digits

bool only_ours(const struct stat& info) {
  return info.st_uid == ::geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// Why a folder cannot be trusted, or made; empty when it can.
std::string fault_of(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  struct stat info;
  if (::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return "cannot be made";
  if (info.st_uid != ::geteuid()) return "is another user's";
  if (!only_ours(info)) return "can be written by others";
  return ::access(folder.c_str(), W_OK | X_OK) == 0 ? "" : "cannot be written";
}

/// A folder for this process alone.
const std::string& private_folder() {
  static const struct Folder {
    std::string path = (fs::temp_directory_path() / "telltale-XXXXXX").string();
    Folder() {
      TT_CHECK(::mkdtemp(path.data()), DataError, path, ": cannot make a temporary folder: ", std::strerror(errno));
    }
    ~Folder() {
      std::error_code error;
      fs::remove_all(path, error);
    }
  } folder;
  return folder.path;
}

}  // namespace

std::string loss_cache_folder(const std::string& given) {
  std::string folder = given;
  if (folder.empty()) {
    const char *xdg = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
    if (xdg && *xdg)
      folder = cat(xdg, "/telltale");
    else if (home && *home)
      folder = cat(home, "/.cache/telltale");
  }
  if (folder.empty()) return private_folder();
  const std::string fault = fault_of(folder);
  if (fault.empty()) return fs::absolute(folder).string();
  spdlog::warn("{}: this cache folder {}; compiled anew elsewhere", folder, fault);
  return private_folder();
}

void seal(const std::string& object) {
  const std::string digest = sha256_file(object);
  std::ofstream file(object, std::ios::binary | std::ios::app);
  file << kSeal << digest << std::flush;
  TT_CHECK(file, DataError, object, ": cannot write: is the disk full?");
}

bool is_sealed(const std::string& object) {
  try {
    const Descriptor file = open_regular(object);
    struct stat info;
    const size_t tail = kSeal.size() + kDigest;
    if (::fstat(file.get(), &info) != 0 || !only_ours(info) || size_t(info.st_size) < tail) return false;
    std::vector<uint8_t> bytes(static_cast<size_t>(info.st_size));
    if (read_some(file, bytes, object) != bytes.size()) return false;
    const std::span<const uint8_t> content(bytes.data(), bytes.size() - tail);
    const std::string_view end(reinterpret_cast<const char*>(bytes.data()) + content.size(), tail);
    return end.starts_with(kSeal) && end.substr(kSeal.size()) == sha256(content);
  } catch (const DataError&) {
    return false;
  }
}

}  // namespace telltale
