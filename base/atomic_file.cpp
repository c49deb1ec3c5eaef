#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "base/check.h"

namespace telltale {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".telltale.part-";  ///< in a name that no user gives; random letters follow
constexpr size_t kRandomLetters = 6;                        ///< as many as mkostemp wants

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// The new name itself must survive a power cut, so its folder is synced too. Some file systems refuse: not fatal.
void sync_folder_of(const std::string& path) {
  const std::string folder = folder_of(path);
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

/// What mkostemp fills with letters: a name in the target's folder, short enough for the file system.
std::string temporary_pattern(const fs::path& target) {
  constexpr size_t kLongestName = 255;
  const std::string end = std::string(kTemporary) + std::string(kRandomLetters, 'X');
  return (target.parent_path() / (target.filename().string().substr(0, kLongestName - end.size()) + end)).string();
}

/// The pattern with letters of chance. What must hold is that a name is free: whoever takes it asks the system.
std::string random_name(std::string pattern) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device chance;
  for (size_t i = pattern.size() - kRandomLetters; i < pattern.size(); ++i)
    pattern[i] = kLetters[chance() % kLetters.size()];
  return pattern;
}

bool is_temporary(const std::string& name) {
  const size_t end = kTemporary.size() + kRandomLetters;
  return name.size() > end && name.compare(name.size() - end, kTemporary.size(), kTemporary) == 0;
}

/// By which linkat reaches an open file that has no other.
std::string own_name(int fd) { return cat("/proc/self/fd/", fd); }

/// A file without a name, which the system removes with its last descriptor; -1 with errno, EOPNOTSUPP where it could
/// not be named later.
int open_unnamed(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (fd < 0 || ::access(own_name(fd).c_str(), F_OK) == 0) return fd;
  ::close(fd);
  errno = EOPNOTSUPP;
  return -1;
}

/// A file under a name made of the pattern, locked: remove_abandoned takes what is not. -1 with errno.
int open_named(std::string& pattern) {
  for (const std::string given = pattern;; pattern = given) {
    const int fd = ::mkostemp(pattern.data(), O_CLOEXEC);
    if (fd < 0) return fd;
    struct stat info;
    const bool locked = ::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;  // some file systems have no locks
    if (locked && ::fstat(fd, &info) == 0 && info.st_nlink > 0) return fd;
    ::close(fd);  // between the two calls it looked abandoned, and was removed
  }
}

/// remove_abandoned, the first time that this process writes into the folder: not before each of its many files.
void remove_abandoned_once(const std::string& folder) {
  static std::mutex mutex;
  static std::set<std::string> done;
  {
    const std::lock_guard lock(mutex);
    if (!done.insert(folder).second) return;
  }
  remove_abandoned(folder);
}

}  // namespace

void remove_abandoned(const std::string& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!is_temporary(it->path().filename().string())) continue;
    const int fd = ::open(it->path().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    struct stat info;
    // Its writer holds a lock, and the system drops that with the process.
    if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && ::flock(fd, LOCK_SH | LOCK_NB) == 0)
      ::unlink(it->path().c_str());
    ::close(fd);
  }
}

AtomicFile::AtomicFile(const std::string& path, bool nameless) : path_(path) {
  struct stat info;
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (!exists && errno == ENAMETOOLONG) fail("cannot create");
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
  remove_abandoned_once(folder_of(target_));
  errno = EOPNOTSUPP;
  if (nameless) fd_ = open_unnamed(folder_of(target_));
  if (fd_ >= 0) {
    ::flock(fd_, LOCK_EX | LOCK_NB);  // for the moment in which it has a temporary name
  } else if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOSYS) {
    temporary_ = temporary_pattern(*target);
    fd_ = open_named(temporary_);
    if (fd_ >= 0) ::fchmod(fd_, default_mode());
  }
  if (fd_ < 0) {
    temporary_.clear();
    fail("cannot create");
  }
  if (exists) ::fchmod(fd_, info.st_mode & 07777);
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
  if (target_.empty()) {
    if (::close(std::exchange(fd_, -1)) != 0) fail("cannot close");
    return;
  }
  if (::fsync(fd_) != 0) fail("cannot sync");
  take_name();
  ::close(std::exchange(fd_, -1));  // last: the lock ends with it. What a close could still report, the sync has
  sync_folder_of(target_);
}

void AtomicFile::take_name() {
  if (temporary_.empty()) {
    const std::string own = own_name(fd_), pattern = temporary_pattern(target_);
    const auto link_as = [&](const std::string& name) {
      return ::linkat(AT_FDCWD, own.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
    };
    bool linked = link_as(target_);
    if (linked) return;
    std::string name;  // a link replaces nothing, a rename does
    for (; !linked && errno == EEXIST; linked = link_as(name)) name = random_name(pattern);
    if (!linked) fail("cannot rename into place");
    temporary_ = name;
  }
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot rename into place");
  temporary_.clear();
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
