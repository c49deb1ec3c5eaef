#pragma once
// Reading files that are nothing but files: a named pipe is refused, not waited for.
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace telltale {

/// An open file; closes it.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Opens a regular file for reading. DataError "path: …" when it is missing or unreadable, and "not a file" for a
/// folder, a pipe or a device.
Descriptor open_regular(const std::string& path);
/// Fills `to` from the file's position on; returns how many bytes there were. DataError "path: …" on a failing disk.
size_t read_some(const Descriptor& file, std::span<uint8_t> to, const std::string& path);

}  // namespace telltale
