#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/check.h"

namespace telltale {

namespace {

// The rename itself must survive a power cut, so its folder is synced too. Some file systems refuse: not fatal.
void sync_folder_of(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
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

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), temporary_(path + ".part-XXXXXX") {
  fd_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
  if (fd_ < 0) {
    temporary_.clear();
    fail("cannot create");
  }
  ::fchmod(fd_, default_mode());
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
  if (::fsync(fd_) != 0) fail("cannot sync");
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail("cannot close");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot rename into place");
  temporary_.clear();
  sync_folder_of(path_);
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
