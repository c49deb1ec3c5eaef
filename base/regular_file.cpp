#include "base/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace telltale {

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor open_regular(const std::string& path) {
  // Not blocking: a named pipe without a writer would be waited for.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  TT_CHECK(file.get() >= 0, DataError, path, ": cannot open: ", std::strerror(errno));
  struct stat info;
  TT_CHECK(::fstat(file.get(), &info) == 0, DataError, path, ": cannot read: ", std::strerror(errno));
  TT_CHECK(S_ISREG(info.st_mode), DataError, path, ": not a file, but a ",
           S_ISDIR(info.st_mode)    ? "folder"
           : S_ISFIFO(info.st_mode) ? "pipe"
                                    : "device");
  return file;
}

size_t read_some(const Descriptor& file, std::span<uint8_t> to, const std::string& path) {
  size_t done = 0;
  while (done < to.size()) {
    const ssize_t n = ::read(file.get(), to.data() + done, std::min(to.size() - done, size_t(1) << 30));
    if (n < 0 && errno == EINTR) continue;
    TT_CHECK(n >= 0, DataError, path, ": cannot read: ", std::strerror(errno));
    if (n == 0) break;
    done += size_t(n);
  }
  return done;
}

}  // namespace telltale
