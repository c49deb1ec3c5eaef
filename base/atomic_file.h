#pragma once
// Files that are either whole or not there: written without a name in the target's folder, synced, then named.
#include <string>
#include <string_view>

namespace telltale {

/// A file being written; a reader sees the old content, or none, until commit(). A symbolic link keeps its place: what
/// it leads to is replaced. What is no file (a device, a pipe, /dev/stdout) is written through, as it comes. Everything
/// throws DataError with the path and the system's reason (a full disk included); whatever is not committed is gone, by
/// SIGKILL too: the file has no name until commit(). Where the file system knows no such files (network file systems),
/// and for a moment while a target is replaced, it is named NAME.telltale.part-XXXXXX and locked; a writer that is
/// killed leaves that, and the next program that writes into the folder removes it.
class AtomicFile {
 public:
  /// Opens a file in the folder of `path`, which must exist; or, where `path` is a device or a pipe, that. `nameless`
  /// false: as where the file system knows no files without a name.
  explicit AtomicFile(const std::string& path, bool nameless = true);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  /// Appends bytes.
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Syncs and takes the target's name; nothing may be written after it.
  void commit();

 private:
  void take_name();
  [[noreturn]] void fail(const char* what);
  std::string path_;       ///< as it was given: for messages
  std::string target_;     ///< what is replaced: `path_`, or where its links lead; empty when written through
  std::string temporary_;  ///< empty when written through, or nameless
  int fd_ = -1;
};

/// Removes what killed writers left in a folder under temporary names; a living one's stays, and so does everything on
/// a file system without locks. Throws nothing. AtomicFile asks for it when a process first writes into a folder.
void remove_abandoned(const std::string& folder);

/// The whole file at once.
void write_atomically(const std::string& path, std::string_view content);

}  // namespace telltale
