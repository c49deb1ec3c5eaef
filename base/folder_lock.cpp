#include "base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace telltale {

FolderLock::FolderLock(const std::string& folder, const std::string& who, Kind kind)
    : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  TT_CHECK(fd_ >= 0, DataError, folder, ": cannot open the folder: ", std::strerror(errno));
  if (::flock(fd_, (kind == Kind::shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) return;
  const int reason = errno;
  ::close(std::exchange(fd_, -1));
  TT_CHECK(reason != EWOULDBLOCK, DataError, folder, ": ", who, " is at work in it");
  // Some network file systems have no locks: going on is what a user would want.
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace telltale
