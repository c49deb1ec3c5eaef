#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/check.h"

namespace telltale {

namespace {

namespace fs = std::filesystem;

// The rename itself must survive a power cut, so its folder is synced too. Some file systems refuse: not fatal.
void sync_folder_of(const std::string& path) {
  std::string folder = fs::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

// What open() with 0666 would have given; mkstemp gives 0600. Read from /proc because umask() can only be read by
// setting it, which other threads would see.
mode_t default_mode() {
  mode_t mask = 022;
  if (FILE* status = ::fopen("/proc/self/status", "re")) {
    char line[256];
    unsigned value;
    while (::fgets(line, sizeof line, status))
      if (::sscanf(line, "Umask: %o", &value) == 1) mask = mode_t(value);
    ::fclose(status);
  }
  return 0666 & ~mask;
}

/// Where a path's links lead; nothing when one is a door to an open descriptor (/dev/stdout, /dev/fd/3), whose file
/// must not be replaced behind its back. Throws nothing: a loop ends in a path that cannot be opened.
std::optional<fs::path> behind_links(fs::path path) {
  constexpr int kMaxLinks = 40;
  std::error_code error;
  for (int i = 0; i < kMaxLinks && fs::is_symlink(fs::symlink_status(path, error)); ++i) {
    const fs::path folder = fs::canonical(path.has_parent_path() ? path.parent_path() : ".", error);
    if (!error && folder.native().starts_with("/proc/")) return std::nullopt;
    path = path.parent_path() / fs::read_symlink(path, error);
  }
  return path;  // of a loop still a link
}

/// The descriptor that /dev/stdout, /dev/fd/3 and the like stand for; -1 for any other path.
int descriptor_named(const fs::path& path) {
  std::error_code error;
  const fs::path folder = fs::canonical(path.parent_path(), error);
  const std::string name = path.filename().string();
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  const bool own = folder == cat("/proc/", getpid(), "/fd");
  const bool number = !name.empty() && name.size() < 9 && name.find_first_not_of("0123456789") == name.npos;
  return own && number ? std::atoi(name.c_str()) : -1;
}

/// A name in the target's folder that no other file has, short enough for the file system.
std::string temporary_name(const fs::path& target) {
  constexpr std::string_view kEnd = ".part-XXXXXX";
  constexpr size_t kLongestName = 255;
  const std::string name = target.filename().string().substr(0, kLongestName - kEnd.size());
  return (target.parent_path() / (name + std::string(kEnd))).string();
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  struct stat info;
  const bool exists = ::stat(path.c_str(), &info) == 0;
  const std::optional<fs::path> target = behind_links(path);
  if (!target || (exists && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))) {
    const int named = descriptor_named(path);
    fd_ = named >= 0 ? ::fcntl(named, F_DUPFD_CLOEXEC, 3) : ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd_ < 0) fail("cannot open");
    return;
  }
  std::error_code error;
  const bool loops = fs::is_symlink(fs::symlink_status(*target, error));
  if (loops || (exists && S_ISDIR(info.st_mode))) {
    errno = loops ? ELOOP : EISDIR;
    fail("cannot create");
  }
  target_ = target->string();
  temporary_ = temporary_name(*target);
  fd_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
  if (fd_ < 0) {
    temporary_.clear();
    fail("cannot create");
  }
  ::fchmod(fd_, exists ? info.st_mode & 07777 : default_mode());
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(fd_, p, std::min(bytes, size_t(1) << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write");
    p += n;
    bytes -= size_t(n);
  }
}

void AtomicFile::commit() {
  if (!target_.empty() && ::fsync(fd_) != 0) fail("cannot sync");
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail("cannot close");
  if (target_.empty()) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot rename into place");
  temporary_.clear();
  sync_folder_of(target_);
}

void AtomicFile::fail(const char* what) {
  const int reason = errno;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
  throw DataError(cat(path_, ": ", what, ": ", std::strerror(reason)));
}

void write_atomically(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace telltale
