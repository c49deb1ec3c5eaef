#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace telltale {

namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  // Not blocking: a named pipe must be refused, not waited for.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  TT_CHECK(file.fd >= 0, DataError, "cannot open: ", std::strerror(errno));
  struct stat status;
  TT_CHECK(::fstat(file.fd, &status) == 0 && S_ISREG(status.st_mode), DataError, "not a regular file");
  if (status.st_size == 0) return;
  void* mapping = ::mmap(nullptr, size_t(status.st_size), PROT_READ, MAP_PRIVATE, file.fd, 0);
  TT_CHECK(mapping != MAP_FAILED, DataError, "cannot map: ", std::strerror(errno));
  bytes_ = {static_cast<const unsigned char*>(mapping), size_t(status.st_size)};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<unsigned char*>(bytes_.data()), bytes_.size());
}

}  // namespace telltale
