#pragma once
// A file as memory: read where it lies, by as much as is looked at.
#include <span>
#include <string>
#include <utility>

namespace telltale {

/// A read-only mapping of a whole file. Move-only; its bytes stay where they are when it moves.
class MappedFile {
 public:
  MappedFile() = default;
  /// Throws DataError, with the reason but without the path, unless it is a regular file that can be read.
  explicit MappedFile(const std::string& path);
  MappedFile(MappedFile&& o) noexcept : bytes_(std::exchange(o.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& o) noexcept {
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~MappedFile();

  std::span<const unsigned char> bytes() const { return bytes_; }

 private:
  std::span<const unsigned char> bytes_;
};

}  // namespace telltale
