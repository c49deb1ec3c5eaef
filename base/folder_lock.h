#pragma once
// One program at work in a folder.
#include <string>
#include <utility>

namespace telltale {

/// Holds a folder until it is destroyed, or the process ends in whatever way. Move-only; empty by default.
class FolderLock {
 public:
  enum class Kind { exclusive, shared };
  FolderLock() = default;
  /// DataError "FOLDER: …" when the folder cannot be opened, or another holds it: exclusively, or at all where this one
  /// wants it exclusively. `who` is named then: "another train".
  FolderLock(const std::string& folder, const std::string& who, Kind kind = Kind::exclusive);
  FolderLock(FolderLock&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  FolderLock& operator=(FolderLock&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~FolderLock();
  bool holds() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace telltale
