#pragma once
// Files that are either whole or not there: written to a temporary name beside the target, synced, renamed.
#include <string>
#include <string_view>

namespace telltale {

/// A file being written; a reader sees the old content, or none, until commit(). A symbolic link keeps its place: what
/// it leads to is replaced. What is no file (a device, a pipe, /dev/stdout) is written through, as it comes. Everything
/// throws DataError with the path and the system's reason (a full disk included); whatever is not committed is removed.
class AtomicFile {
 public:
  /// Opens a temporary file in the folder of `path`, which must exist; or, where `path` is a device or a pipe, that.
  explicit AtomicFile(const std::string& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  /// Appends bytes.
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Syncs and takes the target's name; nothing may be written after it.
  void commit();

 private:
  [[noreturn]] void fail(const char* what);
  std::string path_;       ///< as it was given: for messages
  std::string target_;     ///< what is replaced: `path_`, or where its links lead; empty when written through
  std::string temporary_;  ///< empty when written through
  int fd_ = -1;
};

/// The whole file at once.
void write_atomically(const std::string& path, std::string_view content);

}  // namespace telltale
